"""A producer of header names that no well-behaved client writes: librdkafka's C interface, without Python's checks."""

import ctypes
from pathlib import Path

import confluent_kafka

_TOPIC, _PARTITION, _VALUE, _HEADERS = 1, 3, 4, 10  # rd_kafka_vtype_t
_Pointer = ctypes.c_void_p


class _Memory(ctypes.Structure):
    _fields_ = (("ptr", _Pointer), ("size", ctypes.c_size_t))


class _Argument(ctypes.Union):
    _fields_ = (
        ("cstr", ctypes.c_char_p),
        ("i32", ctypes.c_int32),
        ("ptr", _Pointer),
        ("mem", _Memory),
        ("pad", ctypes.c_char * 64),
    )


class _Tagged(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("value", _Argument))


def library() -> ctypes.CDLL | None:
    """The librdkafka that confluent_kafka brings along; None where it is built in another way."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka*.so*"))
    if not found:
        return None
    made = ctypes.CDLL(str(found[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new", "rd_kafka_produceva"):
        getattr(made, name).restype = _Pointer
    return made


def produce_with_header(lib: ctypes.CDLL, servers: str, topic: str, value: bytes, name: bytes) -> None:
    """Write one record to partition 0 with one header whose name is these bytes."""
    error = ctypes.create_string_buffer(512)
    conf = lib.rd_kafka_conf_new()
    lib.rd_kafka_conf_set(_Pointer(conf), b"bootstrap.servers", servers.encode(), error, 512)
    producer = _Pointer(lib.rd_kafka_new(0, _Pointer(conf), error, 512))
    headers = lib.rd_kafka_headers_new(ctypes.c_size_t(1))
    lib.rd_kafka_header_add(_Pointer(headers), name, ctypes.c_ssize_t(len(name)), b"v", ctypes.c_ssize_t(1))
    memory = ctypes.create_string_buffer(value, len(value))
    arguments = (_Tagged * 4)()
    arguments[0].kind, arguments[0].value.cstr = _TOPIC, topic.encode()
    arguments[1].kind, arguments[1].value.i32 = _PARTITION, 0
    arguments[2].kind, arguments[2].value.mem.ptr = _VALUE, ctypes.addressof(memory)
    arguments[2].value.mem.size = len(value)
    arguments[3].kind, arguments[3].value.ptr = _HEADERS, headers
    lib.rd_kafka_produceva(producer, arguments, ctypes.c_size_t(4))
    lib.rd_kafka_flush(producer, 10_000)
    lib.rd_kafka_destroy(producer)
