"""The checked-in code is what crawler.proto says, and crawler.proto keeps what others rely on."""

import subprocess
import sys
from pathlib import Path

import pytest

from crawler.proto import crawler_pb2 as pb

ROOT = Path(__file__).parents[3]
SOURCE = "crawler/proto/crawler.proto"


def test_the_generated_files_are_up_to_date(tmp_path):
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I."]
    command += [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([*command, SOURCE], cwd=ROOT, check=True, timeout=50)
    made = sorted((tmp_path / "crawler/proto").iterdir())
    assert [path.name for path in made] == [
        "crawler_pb2.py",
        "crawler_pb2.pyi",
        "crawler_pb2_grpc.py",
    ]
    for path in made:
        assert path.read_text() == (ROOT / "crawler/proto" / path.name).read_text(), "make proto"


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (pb.ResourceSpec, {"id": 1, "name": 2, "assigned_node": 3, "creation_time": 4}),
        (pb.NodeSpec, {"id": 1, "Address": 2}),
    ],
)
def test_the_first_fields_keep_their_numbers(message, fields):
    assert not message.DESCRIPTOR.file.package
    numbers = {field.name: field.number for field in message.DESCRIPTOR.fields}
    assert {name: numbers[name] for name in fields} == fields
    assert all(
        number > max(fields.values()) for name, number in numbers.items() if name not in fields
    )
