"""Llama with other norms than its own, and in other places, for transformers 4.57 and 5.

    AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True)
    AutoModelForSequenceClassification.from_pretrained(directory, trust_remote_code=True)  # a reward model

`norm` in config.json names the placement; N is a norm, F attention or the MLP, and x the residual stream:

    pre           x + F(N(x))
    post          N(x + F(x))
    mix           post in the first `post_layers` layers, pre in the rest (Li et al. 2024, arXiv 2412.13795)
    mix-reversed  post in the last `post_layers` layers, pre in the rest
    lns           x + F(N(x) / sqrt(l)) in layer l, counted from 1 (Sun et al. 2025, arXiv 2502.05795)
    sandwich      x + N(F(N(x))) (Ding et al. 2021, arXiv 2105.13290)
    peri          sandwich, and a norm of the embedding (Kim et al. 2025, arXiv 2502.02732)
    deepnorm      N(alpha x + F(x)), alpha being `deepnorm_alpha` (Wang et al. 2022, arXiv 2203.00555)
    hybrid        x + attention(x) with norms of queries, keys and values, and N(x) + MLP(N(x)); pre around both in the
                  first `pre_layers` layers (Zhuo et al. 2025, arXiv 2503.04598)

The final norm is always applied. `norm_kind` says what norms are: "rms" (RMSNorm) or "layer" (LayerNorm with biases).
With `qk_norm` the queries and keys of each head are normalised, as in Qwen3.
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
    pre_layers: int = 0
    norm_kind: str = "rms"
    qk_norm: bool = False


def norm_of(config, width):
    kind = {"rms": LlamaRMSNorm, "layer": nn.LayerNorm}[config.norm_kind]
    return kind(width, eps=config.rms_norm_eps)


class MixLNNormedProjection(nn.Linear):
    """A projection whose heads go through a norm, which is a module of the attention and not of this one."""

    def __init__(self, projection, norm, head_dim):
        super().__init__(projection.in_features, projection.out_features, bias=False)
        self.head_dim = head_dim
        self.norm = (norm,)

    def forward(self, hidden_states):
        heads = super().forward(hidden_states).unflatten(-1, (-1, self.head_dim))
        return self.norm[0](heads).flatten(-2)


class MixLNLayer(LlamaDecoderLayer):
    """x + F(N(x)), as in Llama, with the norms that the config calls for."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.input_layernorm = norm_of(config, config.hidden_size)
        self.post_attention_layernorm = norm_of(config, config.hidden_size)
        attention = self.self_attn
        for name in "qkv" if config.norm == "hybrid" else "qk" if config.qk_norm else "":
            norm = norm_of(config, attention.head_dim)
            setattr(attention, f"{name}_norm", norm)
            projection = getattr(attention, f"{name}_proj")
            setattr(attention, f"{name}_proj", MixLNNormedProjection(projection, norm, attention.head_dim))


class MixLNPostLayer(MixLNLayer):
    """N(x + F(x)), or DeepNorm's N(alpha x + F(x))."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        del self.input_layernorm
        self.post_feedforward_layernorm = norm_of(config, config.hidden_size)
        self.alpha = 1.0
        if config.norm == "deepnorm":
            self.alpha = config.deepnorm_alpha or (2 * config.num_hidden_layers) ** 0.25

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=hidden_states, **attention_arguments)
        hidden_states = self.post_attention_layernorm(self.alpha * hidden_states + attended)
        return self.post_feedforward_layernorm(self.alpha * hidden_states + self.mlp(hidden_states))


class MixLNScaledPreLayer(MixLNLayer):
    """x + F(N(x) / sqrt(l)), l counted from 1."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.scale = (layer_idx + 1) ** -0.5

    def forward(self, hidden_states, **attention_arguments):
        normed = self.input_layernorm(hidden_states) * self.scale
        attended, _ = self.self_attn(hidden_states=normed, **attention_arguments)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states) * self.scale)


class MixLNSandwichLayer(MixLNLayer):
    """x + N(F(N(x)))."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        self.pre_feedforward_layernorm = norm_of(config, config.hidden_size)
        self.post_feedforward_layernorm = norm_of(config, config.hidden_size)

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **attention_arguments)
        hidden_states = hidden_states + self.post_attention_layernorm(attended)
        fed = self.mlp(self.pre_feedforward_layernorm(hidden_states))
        return hidden_states + self.post_feedforward_layernorm(fed)


class MixLNHybridLayer(MixLNLayer):
    """x + attention(x), and N(x) + MLP(N(x))."""

    def __init__(self, config, layer_idx):
        super().__init__(config, layer_idx)
        del self.input_layernorm

    def forward(self, hidden_states, **attention_arguments):
        attended, _ = self.self_attn(hidden_states=hidden_states, **attention_arguments)
        normed = self.post_attention_layernorm(hidden_states + attended)
        return normed + self.mlp(normed)


def layer_class(config, index):
    """What layer `index`, from 0, is an instance of."""
    pre_or_post = (MixLNLayer, MixLNPostLayer)
    return {
        "pre": MixLNLayer,
        "post": MixLNPostLayer,
        "mix": pre_or_post[index < config.post_layers],
        "mix-reversed": pre_or_post[index >= config.num_hidden_layers - config.post_layers],
        "lns": MixLNScaledPreLayer,
        "sandwich": MixLNSandwichLayer,
        "peri": MixLNSandwichLayer,
        "deepnorm": MixLNPostLayer,
        "hybrid": (MixLNHybridLayer, MixLNLayer)[index < config.pre_layers],
    }[config.norm]


class MixLNPreTrainedModel(LlamaPreTrainedModel):
    config_class = MixLNConfig
    _no_split_modules = [
        "MixLNLayer",
        "MixLNPostLayer",
        "MixLNScaledPreLayer",
        "MixLNSandwichLayer",
        "MixLNHybridLayer",
    ]
    _can_record_outputs = {"hidden_states": LlamaDecoderLayer, "attentions": LlamaAttention}


class MixLNModel(MixLNPreTrainedModel, LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        for index in range(config.num_hidden_layers):
            self.layers[index] = layer_class(config, index)(config, index)
        self.norm = norm_of(config, config.hidden_size)
        if config.norm == "peri":
            self.embed_layernorm = norm_of(config, config.hidden_size)
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
