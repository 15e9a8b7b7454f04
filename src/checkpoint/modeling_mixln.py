"""Llama with other norm placements than Pre-LN, for transformers 4.57 and 5.

    AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)
    AutoModelForSequenceClassification.from_pretrained(directory, trust_remote_code=True)  # a reward model

`norm` in config.json names the placement; N is an RMSNorm, F attention or the MLP, and x the residual stream:

    pre           x + F(N(x))
    post          N(x + F(x))
    mix           post in the first `post_layers` layers, pre in the rest (Li et al. 2024, arXiv 2412.13795)
    mix-reversed  post in the last `post_layers` layers, pre in the rest
    lns           x + F(N(x) / sqrt(l)) in layer l, counted from 1 (Sun et al. 2025, arXiv 2502.05795)
    sandwich      x + N(F(N(x))) (Ding et al. 2021, arXiv 2105.13290)
    peri          sandwich, and a norm of the embedding (Kim et al. 2025, arXiv 2502.02732)
    deepnorm      N(alpha x + F(x)), alpha being `deepnorm_alpha` (Wang et al. 2022, arXiv 2203.00555)

The final norm is always applied.
"""

from typing import Optional

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
    deepnorm_alpha: Optional[float] = None


def rms_norm(config):
    return LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class MixLNPostLayer(LlamaDecoderLayer):
    """N(x + F(x)), or DeepNorm's N(alpha x + F(x))."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        del self.input_layernorm
        self.post_feedforward_layernorm = rms_norm(config)
        self.alpha = 1.0
        if config.norm == "deepnorm":
            self.alpha = config.deepnorm_alpha or (2 * config.num_hidden_layers) ** 0.25

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=hidden_states, **attention_arguments)
        hidden_states = self.post_attention_layernorm(self.alpha * hidden_states + attended)
        return self.post_feedforward_layernorm(self.alpha * hidden_states + self.mlp(hidden_states))


class MixLNScaledPreLayer(LlamaDecoderLayer):
    """x + F(N(x) / sqrt(l)), l counted from 1."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.scale = (layer_idx + 1) ** -0.5

    def forward(self, hidden_states, **attention_arguments):
        normed = self.input_layernorm(hidden_states) * self.scale
        attended, _ = self.self_attn(hidden_states=normed, **attention_arguments)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states) * self.scale)


class MixLNSandwichLayer(LlamaDecoderLayer):
    """x + N(F(N(x)))."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.pre_feedforward_layernorm = rms_norm(config)
        self.post_feedforward_layernorm = rms_norm(config)

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **attention_arguments)
        hidden_states = hidden_states + self.post_attention_layernorm(attended)
        fed = self.mlp(self.pre_feedforward_layernorm(hidden_states))
        return hidden_states + self.post_feedforward_layernorm(fed)


def layer_class(config, index):
    """What layer `index`, from 0, is an instance of."""
    pre_or_post = (LlamaDecoderLayer, MixLNPostLayer)
    return {
        "pre": LlamaDecoderLayer,
        "post": MixLNPostLayer,
        "mix": pre_or_post[index < config.post_layers],
        "mix-reversed": pre_or_post[index >= config.num_hidden_layers - config.post_layers],
        "lns": MixLNScaledPreLayer,
        "sandwich": MixLNSandwichLayer,
        "peri": MixLNSandwichLayer,
        "deepnorm": MixLNPostLayer,
    }[config.norm]


class MixLNPreTrainedModel(LlamaPreTrainedModel):
    config_class = MixLNConfig
    _no_split_modules = ["LlamaDecoderLayer", "MixLNPostLayer", "MixLNScaledPreLayer", "MixLNSandwichLayer"]
    _can_record_outputs = {"hidden_states": LlamaDecoderLayer, "attentions": LlamaAttention}


class MixLNModel(MixLNPreTrainedModel, LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        for index in range(config.num_hidden_layers):
            kind = layer_class(config, index)
            if kind is not LlamaDecoderLayer:
                self.layers[index] = kind(config, index)
        if config.norm == "peri":
            self.embed_layernorm = rms_norm(config)
        self.post_init()

    def forward(self, input_ids=None, inputs_embeds=None, **arguments):
        if self.config.norm != "peri":
            return super().forward(input_ids=input_ids, inputs_embeds=inputs_embeds, **arguments)
        embedded = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        return super().forward(inputs_embeds=self.embed_layernorm(embedded), **arguments)


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
