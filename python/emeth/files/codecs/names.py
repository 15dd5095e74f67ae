"""The codecs by name."""

from emeth.files.codecs.int2 import Int2
from emeth.files.codecs.int4 import Int4
from emeth.files.codecs.int8 import Int8
from emeth.files.codecs.plain import Bf16, Fp32
from emeth.files.codecs.protocol import Codec
from emeth.files.codecs.sparse import Sparse
from emeth.wire.params import CodecName

CODECS: dict[CodecName, Codec] = {
    "fp32": Fp32(),
    "bf16": Bf16(),
    "int8": Int8(),
    "int4": Int4(),
    "int2": Int2(),
    "sparse": Sparse(),
}
