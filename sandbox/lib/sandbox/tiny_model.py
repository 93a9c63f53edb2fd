"""A language model of half a megabyte that says one sentence and stops: enough for a real Ollama to load it, run it and answer.

It has the architecture of Llama. Attention and feed-forward add nothing (their last matrices are zero), so what comes next depends on the
last token alone: the output matrix leads from each word of the sentence to the next, beginning at the mark of the assistant's turn.
"""

from __future__ import annotations

import itertools
import math
import random
from array import array
from collections.abc import Sequence

from sandbox.gguf import Tensor, Value, encode

SENTENCE = "this answer comes from a model on your own machine"
#: How a conversation is put to it, in the words of Ollama's templates.
TEMPLATE = '{{ range .Messages }}{{ if eq .Role "user" }}<|user|>{{ .Content }}{{ end }}{{ end }}<|assistant|>'
PARAMETERS = {"stop": ["</s>"], "num_ctx": 512, "num_predict": 24}

WIDTH, LAYERS, HEADS, GROUPS, HIDDEN, CONTEXT = 64, 2, 4, 2, 128, 2048
#: The mark that SentencePiece puts for a space.
_SPACE = "\u2581"
#: Kinds of tokens in llama.cpp.
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
#: How much likelier than all others the next word is.
_CERTAINTY = 8.0


def model(sentence: str = SENTENCE) -> bytes:
    """Return the model's file: the same bytes for the same sentence. A word may be in it once only."""
    words = [f"{_SPACE}{word}" for word in sentence.split()]
    if len(set(words)) != len(words):
        raise ValueError("a word is in the sentence twice, and what follows a word is the same each time")
    pieces, scores, kinds = _vocabulary(words)
    places = {piece: place for place, piece in enumerate(pieces)}
    return encode(_metadata(pieces, scores, kinds), _tensors(places, ["<|assistant|>", *words, "</s>"]))


def _vocabulary(words: Sequence[str]) -> tuple[list[str], list[float], list[int]]:
    tokens: dict[str, tuple[float, int]] = {"<unk>": (0.0, _UNKNOWN)}
    tokens |= dict.fromkeys(("<s>", "</s>", "<|user|>", "<|assistant|>"), (0.0, _CONTROL))
    tokens |= {f"<0x{byte:02X}>": (0.0, _BYTE) for byte in range(256)}
    tokens |= dict.fromkeys((_SPACE, *(chr(code) for code in range(33, 127))), (-1000.0, _NORMAL))
    for word in words:
        # Two pieces are merged when what they make is a piece: so each beginning of a word is one.
        tokens |= {word[:length]: (length - 100.0, _NORMAL) for length in range(2, len(word)) if word[:length] not in tokens}
        tokens[word] = (-1.0, _NORMAL)
    return list(tokens), [score for score, _kind in tokens.values()], [kind for _score, kind in tokens.values()]


def _metadata(pieces: Sequence[str], scores: Sequence[float], kinds: Sequence[int]) -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": "tiny",
        "general.file_type": 0,
        "general.quantization_version": 2,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": HIDDEN,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": GROUPS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": len(pieces),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
    }


def _tensors(places: dict[str, int], chain: Sequence[str]) -> dict[str, Tensor]:
    # The same each time: whoever has pulled the model has it still when it is made again.
    numbers = random.Random(1)  # noqa: S311  (no secret)
    size = len(places)
    rows = [_unit([numbers.gauss(0, 1) for _column in range(WIDTH)]) for _row in range(size)]
    output = [[0.0] * WIDTH for _row in range(size)]
    for word, following in itertools.pairwise(chain):
        output[places[following]] = [_CERTAINTY * value for value in rows[places[word]]]
    tensors = {"token_embd.weight": _matrix(rows), "output_norm.weight": _matrix([[1.0] * WIDTH]), "output.weight": _matrix(output)}
    for layer in range(LAYERS):
        for name, height, width in (
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", GROUPS * WIDTH // HEADS, WIDTH),
            ("attn_v", GROUPS * WIDTH // HEADS, WIDTH),
            ("ffn_gate", HIDDEN, WIDTH),
            ("ffn_up", HIDDEN, WIDTH),
        ):
            tensors[f"blk.{layer}.{name}.weight"] = _matrix(
                [[numbers.gauss(0, 1) / math.sqrt(width) for _column in range(width)] for _row in range(height)]
            )
        tensors[f"blk.{layer}.attn_norm.weight"] = tensors[f"blk.{layer}.ffn_norm.weight"] = _matrix([[1.0] * WIDTH])
        tensors[f"blk.{layer}.attn_output.weight"] = _matrix([[0.0] * WIDTH for _row in range(WIDTH)])
        tensors[f"blk.{layer}.ffn_down.weight"] = _matrix([[0.0] * HIDDEN for _row in range(WIDTH)])
    return tensors


def _unit(row: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in row))
    return [value / length for value in row]


def _matrix(rows: Sequence[Sequence[float]]) -> Tensor:
    return Tensor(len(rows), len(rows[0]), array("f", (value for row in rows for value in row)))
