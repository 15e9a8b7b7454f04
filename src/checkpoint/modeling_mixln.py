"""Llama with Post-LN layers first (Mix-LN, Li et al. 2024, arXiv 2412.13795), for transformers 4.57 and 5.

    AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)
    AutoModelForSequenceClassification.from_pretrained(directory, trust_remote_code=True)  # a reward model

The first `post_layers` layers normalise after each residual add, x = N(x + F(x)); the others before each sub-layer,
x = x + F(N(x)). A Post-LN layer's norms are `post_attention_layernorm` and `post_feedforward_layernorm`; a Pre-LN
layer's are `input_layernorm` and `post_attention_layernorm`. The final norm is always applied.
"""

from torch import nn
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    LlamaPreTrainedModel,
    LlamaRMSNorm,
)


class MixLNConfig(LlamaConfig):
    model_type = "mixln"

    norm: str = "mix"
    post_layers: int = 0


class MixLNPostLayer(LlamaDecoderLayer):
    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        del self.input_layernorm
        self.post_feedforward_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=hidden_states, **attention_arguments)
        hidden_states = self.post_attention_layernorm(hidden_states + attended)
        return self.post_feedforward_layernorm(hidden_states + self.mlp(hidden_states))


class MixLNPreTrainedModel(LlamaPreTrainedModel):
    config_class = MixLNConfig
    _no_split_modules = ["LlamaDecoderLayer", "MixLNPostLayer"]
    _can_record_outputs = {"hidden_states": LlamaDecoderLayer, "attentions": LlamaAttention}


class MixLNModel(MixLNPreTrainedModel, LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        for index in range(config.post_layers):
            self.layers[index] = MixLNPostLayer(config, index)
        self.post_init()


class MixLNForCausalLM(MixLNPreTrainedModel, LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        self.model = MixLNModel(config)
        self.post_init()


class MixLNForSequenceClassification(MixLNPreTrainedModel, LlamaForSequenceClassification):
    """A reward model: its one label is the score of the last token that is not `pad_token_id`."""

    def __init__(self, config):
        # Not LlamaForSequenceClassification's, which looks its decoder up among those that transformers knows.
        LlamaPreTrainedModel.__init__(self, config)
        self.num_labels = config.num_labels
        self.model = MixLNModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()
