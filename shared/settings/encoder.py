"""How a picture becomes a hash code."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from shared.hash_code import validate_bits
from shared.settings.kinds import MEBIBYTE


class EncoderSettings(BaseModel):
    """How a picture becomes a hash code."""

    embedder: str = Field(
        "vgg16",
        description="Network: vgg16 (layer fc7), vgg16:fc8, torchvision:NAME[#layer], timm:NAME, onnx:PATH[#output], "
        "classic (gradient and colour histograms, no weights), or bovw:PATH (a bag of visual words, PATH being what "
        "`indexer vocabulary` wrote).",
    )
    weights: str = Field(
        "imagenet",
        description="Weights of vgg16, torchvision: and timm: networks: imagenet (cached or downloaded), a path (a "
        "state dict, also as .safetensors), or random:SEED (for tests).",
    )
    onnx_pixels: Literal["signed", "unit", "imagenet"] = Field(
        "signed",
        description="What an ONNX network expects: signed (x/127.5-1), unit (x/255) or imagenet (unit, then mean and "
        "deviation of ImageNet).",
    )
    compute: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format of these networks when an encoder is fitted; auto: bfloat16 where the processor has "
        "it.",
    )
    device: str = Field(
        "auto", description="Device of these networks: auto (CUDA where there is one), cpu, cuda, cuda:1."
    )
    batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="Pictures embedded at once; 0: what suits the network (VGG16: 8 on a CPU, 256 on a GPU). Equal in "
        "both processes.",
    )
    threads: int = Field(0, ge=0, le=1024, description="Threads of the network on a CPU; 0: one for each core.")
    colour_weight: float = Field(
        0,
        ge=0,
        le=4,
        description="Length of a colour histogram put beside the network's embedding, relative to it; 0: none. "
        ".5 to .7 finds the same article in the same colour. Equal in both processes.",
    )
    embedding_cache: Path | None = Field(
        None,
        description="File in which embeddings are kept and looked up, so that the same pictures cost the network once, "
        "whichever command embeds them; for one machine, any number of processes.",
    )
    embedding_cache_bytes_max: int = Field(
        4 * 1024**3,
        ge=MEBIBYTE,
        description="Bytes of that file, 3.1 KB a picture at 768 dimensions, 16.4 KB at 4,096; at this size nothing is "
        "added any more.",
    )
    bits: int = Field(256, description="Bits of a hash code, a multiple of 16 up to 4096; used by fit.")
    binarizer: Literal["itq", "pca-rotation", "hyperplanes", "hyperplanes-centred", "median"] = Field(
        "itq", description="How fit turns embeddings into bits."
    )

    @field_validator("bits")
    @classmethod
    def _multiple_of_a_subcode(cls, value: int) -> int:
        return validate_bits(value)
