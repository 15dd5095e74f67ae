"""The `coordinate` child: prepares data, cuts shards, inspects and folds updates, evaluates and exports."""

import math

import torch

from emeth.data.data import Corpus, Source, prepare
from emeth.data.progress import Progress
from emeth.data.sequences import read_shard
from emeth.files.codec import raw
from emeth.files.tensors import TensorFileError, TensorReader, write_tensors
from emeth.models.evaluate import evaluate
from emeth.models.export import Trained, export
from emeth.models.network import Network
from emeth.models.program import Program, load_model, open_program
from emeth.rounds.compare import cosines, distance
from emeth.rounds.end_theta import end_theta_of
from emeth.rounds.fold import fold
from emeth.rounds.gain import gain_of
from emeth.rounds.rehearsal import rehearse
from emeth.rounds.update_norms import inspect_update
from emeth.wire.commands import (
    Compare,
    CoordinateCommand,
    Cut,
    Evaluate,
    Export,
    Fold,
    GainQuestion,
    Init,
    Inspect,
    Prepare,
    Rehearse,
    parse_coordinate_command,
)
from emeth.wire.events import Failure, Inbox, Outbox
from emeth.wire.parse import ParseError, parse_json
from emeth.wire.spec import CoordinateSpec


def run(spec: CoordinateSpec, inbox: Inbox, outbox: Outbox) -> None:
    """Answer commands until stdin ends."""
    coordinator = Coordinator(spec, inbox, outbox)
    threads = torch.get_num_threads()
    outbox.emit("ready", device=spec.device, threads=threads, parameters=coordinator.num_parameters())
    while True:
        coordinator.answer(inbox.next_line())


class Coordinator:
    """One job's commands; everything that must survive a restart lies in files."""

    def __init__(self, spec: CoordinateSpec, inbox: Inbox, outbox: Outbox) -> None:
        self._spec = spec
        self._params = spec.params
        self._inbox = inbox
        self._outbox = outbox
        self._corpus: Corpus | None = None
        self._program: Program | None = None

    def num_parameters(self) -> int:
        """Numbers in the model; 0 before the data (and so the vocabulary) are known."""
        try:
            return self._open_program().num_parameters
        except Failure:
            return 0

    def answer(self, line: bytes) -> None:
        """Run one command; a failure becomes its answer."""
        value = parse_json(line)
        try:
            self._do(parse_coordinate_command(value))
        except Failure as error:
            self._fail(value, error.code, str(error))
        except TensorFileError as error:
            self._fail(value, "model/bad-file", str(error))
        except ParseError as error:
            self._fail(value, "command/invalid", str(error))
        except OSError as error:
            self._fail(value, "data/io", f"A file could not be read or written: {error}.")

    def _fail(self, value: object, code: str, message: str) -> None:
        command_id = value.get("id") if isinstance(value, dict) else None
        if not isinstance(command_id, int):
            raise ParseError(message)
        self._outbox.emit("failed", id=command_id, code=code, message=message)

    def _do(self, command: CoordinateCommand) -> None:  # noqa: PLR0911 - one return per command
        match command:
            case Prepare():
                return self._prepare(command)
            case Init():
                return self._init(command)
            case Cut():
                return self._cut(command)
            case Inspect():
                return self._inspect(command)
            case Compare():
                return self._compare(command)
            case Fold():
                return self._fold(command)
            case Evaluate():
                return self._evaluate(command)
            case Rehearse():
                return self._rehearse(command)
            case Export():
                return self._export(command)

    def _prepare(self, command: Prepare) -> None:
        self._corpus = self._program = None
        source = Source(
            dataset=command.dataset,
            max_bytes=command.max_bytes,
            work_dir=self._spec.work_dir,
            base=self._spec.base,
            processes=torch.get_num_threads(),
            report=Progress(self._outbox, self._inbox),
        )
        prepared = prepare(self._params, source)
        self._outbox.emit("prepared", id=command.id, prepared=prepared.json())

    def _init(self, command: Init) -> None:
        program = self._open_program()
        tensors = program.initial(self._params.seed)
        theta = write_tensors(command.out, program.layout, (raw(tensor) for _, tensor in tensors))
        self._outbox.emit("initialised", id=command.id, theta=theta.json(), parameters=program.num_parameters)

    def _cut(self, command: Cut) -> None:
        shard = self._open_corpus().cut(command.start, command.end, command.out)
        self._outbox.emit("cut", id=command.id, shard=shard.json(), blocks=command.end - command.start)

    def _inspect(self, command: Inspect) -> None:
        try:
            norm = inspect_update(command.update, self._params.codec, self._open_program().layout)
        except TensorFileError as error:
            self._outbox.emit("inspected", id=command.id, ok=False, reason=str(error), norm=0)
            return
        if not math.isfinite(norm):
            self._outbox.emit("inspected", id=command.id, ok=False, reason="The update is not finite.", norm=0)
            return
        facts: dict[str, object] = {"ok": True, "norm": norm}
        if command.theta is not None:
            facts["endTheta"] = self._end_theta(command.update, command.theta)
        if command.others:
            facts["cosines"] = cosines(command.update, command.others, self._params.codec, self._open_program().layout)
        gain = None if command.gain is None else self._gain(command.update, command.gain)
        if gain is not None:
            facts["gain"] = gain
        self._outbox.emit("inspected", id=command.id, **facts)

    def _end_theta(self, update: str, theta: str) -> str:
        layout = self._open_program().layout
        with TensorReader(theta, layout) as file:

            def theta_of(name: str) -> torch.Tensor:
                tensor = torch.empty(layout[name].shape)
                file.read_into(name, 0, raw(tensor))
                return tensor

            return end_theta_of(theta_of, update, self._params.codec, layout)

    def _gain(self, update: str, question: GainQuestion) -> float | None:
        """On the first sequences of a shard that have something to learn; None where none has."""
        params, program = self._params, self._open_program()
        shard = read_shard(question.shard, params.batch, program.context, program.vocab_size).flat()
        sequences = shard[shard.learnt()[: question.sequences]]
        if len(sequences) == 0:
            return None
        token_bytes = self._open_corpus().tokenizer().token_bytes()

        def loss_of(model: Network) -> float:
            return evaluate(model, sequences, token_bytes, self._inbox).loss

        model = load_model(program, question.theta, self._spec.device)
        return gain_of(model, update, params.codec, self._open_program().layout, loss_of)

    def _compare(self, command: Compare) -> None:
        found = distance(command.update, command.expected, self._params.codec, self._open_program().layout)
        self._outbox.emit("compared", id=command.id, distance=found)

    def _fold(self, command: Fold) -> None:
        folded = fold(command, self._params.codec, self._open_program().layout, self._params.outer)
        self._outbox.emit(
            "folded",
            id=command.id,
            theta=folded.theta.json(),
            outer={"path": folded.outer},
            delta=folded.delta.json(),
            norms=folded.norms,
            clips=folded.clips,
            weights=folded.weights,
        )

    def _evaluate(self, command: Evaluate) -> None:
        corpus = self._open_corpus()
        model = load_model(self._open_program(), command.model.theta, self._spec.device)
        sequences = corpus.validation(command.max_sequences)
        result = evaluate(model, sequences, corpus.tokenizer().token_bytes(), self._inbox)
        if not math.isfinite(result.loss):
            raise Failure("model/not-finite", "The model's loss on the held-out part is not a finite number.")
        self._outbox.emit(
            "evaluated", id=command.id, loss=result.loss, tokens=result.tokens, lossPerByte=result.loss_per_byte
        )

    def _rehearse(self, command: Rehearse) -> None:
        sequences = self._open_corpus().validation(command.sequences)
        model = load_model(self._open_program(), command.theta, self._spec.device)
        loss = rehearse(model, sequences, self._params.inner, self._params.outer)
        self._outbox.emit("rehearsed", id=command.id, loss=loss)

    def _export(self, command: Export) -> None:
        corpus = self._open_corpus()
        trained = Trained(
            params=self._params,
            program=self._open_program(),
            tokenizer=corpus.tokenizer(),
            template=None if corpus.template is None else corpus.template.source,
            base=self._spec.base,
        )
        files = export(command, trained)
        self._outbox.emit("exported", id=command.id, files=files)

    def _open_corpus(self) -> Corpus:
        if self._corpus is None:
            self._corpus = Corpus(self._params, self._spec.work_dir, self._spec.base)
        return self._corpus

    def _open_program(self) -> Program:
        if self._program is None:
            self._program = open_program(self._params, self._open_corpus().prepared.vocab_size, self._spec.base)
        return self._program
