"""Chats as text: templates, and what of the text is learnt."""

from pathlib import Path

import pytest

from emeth.data.records import Broken, Message
from emeth.data.template import ALPACA, CHATML, PLAIN, ChatTemplate, bounded_time, given_template
from emeth.wire.events import Failure
from tests.data.make import learnt_text, lines, prepared, turns

FIRST = "<s>"
USER, ANSWER = {"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "Hallöchen"}
# What Llama 3 writes, with today's date where there is a function for it.
DATED = "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"
MARKED = (
    "{%- for message in messages %}\n{%- if message.role == 'assistant' %}{% generation %}{{ message.content }}</s>"
    "{% endgeneration %}{%- else %}[{{ message.role }}]{{ message.content | tojson }}{%- endif %}\n{%- endfor %}"
)


def shown(source: str, messages: list[Message], **tokens: str) -> tuple[str, list[str]]:
    """The text of a chat, and its answers."""
    text, spans = ChatTemplate(source, tokens).document(messages)
    return text.decode(), [text[start:end].decode() for start, end in spans]


def test_answers_are_what_the_assistant_adds() -> None:
    text, answers = shown(CHATML, [USER, ANSWER, USER, ANSWER])
    assert text.startswith(
        "<|im_start|>user\nGrüße<|im_end|>\n<|im_start|>assistant\nHallöchen<|im_end|>\n<|im_start|>us"
    )
    assert answers == ["Hallöchen<|im_end|>\n"] * 2
    assert shown(PLAIN, [USER, ANSWER]) == ("GrüßeHallöchen", ["Hallöchen"])
    assert shown(ALPACA, [USER, ANSWER])[1] == ["Hallöchen\n\n"]


def test_messages_after_the_last_answer_and_before_the_first_question_are_kept() -> None:
    text, answers = shown(CHATML, [ANSWER, USER, ANSWER, USER])
    assert text.endswith("<|im_start|>user\nGrüße<|im_end|>\n")
    assert answers == ["<|im_start|>assistant\nHallöchen<|im_end|>\n", "Hallöchen<|im_end|>\n"]


def test_template_of_hugging_face_is_understood() -> None:
    assert shown(MARKED, [USER, ANSWER]) == ('[user]"Grüße"Hallöchen</s>', ["Hallöchen</s>"])
    assert shown(DATED, [USER, ANSWER], bos_token=FIRST)[0] == f"{FIRST}26 Jul 2024GrüßeHallöchen"


@pytest.mark.parametrize(
    "source",
    [
        # Qwen 3 forgets earlier thoughts, others close only the last turn.
        "{% for m in messages %}{{ m.content }}{% if loop.last and m.role == 'assistant' %}!{% endif %}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% if loop.last %}!{% endif %}{% endfor %}",
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}",
    ],
)
def test_template_that_changes_what_it_wrote_throws_data_bad_template(source: str) -> None:
    with pytest.raises(Failure, match=r"The chat template changes what it has written: up to message") as failure:
        shown(source, [USER, ANSWER, USER, ANSWER])
    assert failure.value.code == "data/bad-template"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "is refused by the chat template: Roles must alternate"),
        ("{{ messages[9].content }}", "cannot be written by the chat template"),
        ("{{ ''.__class__.__mro__ }}", "cannot be written by the chat template"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "cannot be written by the chat template"),
    ],
)
def test_chat_that_the_template_refuses_is_broken(source: str, words: str) -> None:
    with pytest.raises(Broken, match=words):
        shown(source, [USER, ANSWER])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("chatlm", r"data\.template is 'chatlm': neither chatml, plain, alpaca nor a template in Jinja"),
        ("{% for m in %}", "cannot be read"),
        ("{% generation %}", "cannot be read"),
    ],
)
def test_template_that_is_none_throws_data_bad_template(given: str, words: str) -> None:
    with pytest.raises(Failure, match=words) as failure:
        given_template(given, {}).document([USER, ANSWER])
    assert failure.value.code == "data/bad-template"


def test_template_that_never_ends_throws_data_bad_template() -> None:
    loop, end = "{% for i in range(9999) %}", "{% endfor %}"
    endless = 3 * loop + 3 * end
    with pytest.raises(Failure, match=r"takes more than 0\.2 s") as failure, bounded_time(0.2):
        shown(endless, [USER, ANSWER])
    assert failure.value.code == "data/bad-template"


def test_only_answers_are_learnt(tmp_path: Path) -> None:
    chats = [{"messages": [{"role": "user", "content": "äq"}, {"role": "assistant", "content": "öa"}]}] * 80
    corpus = prepared(tmp_path, lines(chats), data={"template": "plain"})[1]
    assert bytes(corpus.train.tokens[:14]).decode() == "äqöa\0äqöa\0"
    assert learnt_text(corpus, 14).decode() == "...öa\0" * 2
    assert corpus.template == ChatTemplate(PLAIN, {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"})


def test_everything_but_the_first_token_is_learnt_where_the_job_says_so(tmp_path: Path) -> None:
    chats = [{"prompt": "q1", "completion": "a1"}] * 80
    corpus = prepared(tmp_path, lines(chats), data={"template": "plain", "loss": "all"})[1]
    assert learnt_text(corpus, 10) == b".1a1\0.1a1\0"


def test_end_is_not_learnt_after_a_question(tmp_path: Path) -> None:
    chats = [{"messages": [{"role": "assistant", "content": "a1"}, {"role": "user", "content": "q1"}]}] * 80
    corpus = prepared(tmp_path, lines(chats), data={"template": "plain"})[1]
    assert learnt_text(corpus, 10) == b".1..." * 2


def test_answers_of_a_text_throw_data_no_answers(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The dataset is text, in which nothing is an answer") as failure:
        prepared(tmp_path, b"Call me Ishmael. " * 99, data={"loss": "answers"})
    assert failure.value.code == "data/no-answers"


def test_part_without_an_answer_throws_data_no_answers(tmp_path: Path) -> None:
    # A template that writes nothing of what the assistant says.
    silent = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    with pytest.raises(Failure, match="The trained part of the dataset holds no answer") as failure:
        prepared(tmp_path, lines(turns()), data={"template": silent})
    assert failure.value.code == "data/no-answers"
