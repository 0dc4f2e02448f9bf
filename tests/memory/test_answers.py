"""What language models write instead of one sentence: removed where the rest is surely the answer, named elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm.files import read_json
from hicm.memory.summarisers.answers import (
    BLOCKED,
    CUT,
    EMPTY,
    REFUSES,
    THINKING,
    Answer,
    Verdict,
    check_answer,
    clean,
    count_words,
)
from hicm.memory.summarisers.prompt import load_prompt
from hicm.memory.summarisers.tally import FEW, SAME, Tally

UNSPACED = "\u6d0b\u8471\u3092\u5207\u308b\u3002"
WORDING = load_prompt("one-sentence-v1").instructions(20)
TEXTS = ("cut the onion into small pieces", "chop an onion finely")


def check(text: str, words: int = 20) -> Verdict:
    return check_answer(Answer(text), words, WORDING, TEXTS)


@pytest.mark.parametrize("text", [
    "Chop an onion.", "Add approx. two tbsp. of oil", "Bake at 180 deg. for 1.5 h", " ".join(["word"] * 20), UNSPACED,
    '"Salt" and "pepper"', "Add salt, then: stir", "Summarise the steps of a cake", "Sure hands knead the dough",
    "cut the onion into small pieces", "It's 2 * 3 eggs, <3 minutes", "Add salt (2 spoons) and stir",
    "She reads out the final sentence: the end", "A text says here is the answer: boil",
    # the first person, words of models in other meanings, words on a screen
    "I cannot see the pan.", "I can't see the pan because of the steam.", "I can't help but laugh at the dog.",
    "I don't have enough flour to make the bread.", "I'm unable to reach the top shelf.", "I can't do this move.",
    "We cannot see the face of the man.", "I will not be using salt here.", "The man cannot answer the question.",
    "A man says he is sorry and leaves.", "As an assistant holds the light, the man fixes the sink.",
    "The AI robot moves the box.", "Please subscribe to the channel.", "You have not seen this trick before.",
    "We need to cut the onion into small pieces.", "First, I need to wash the car.", "The task is to fold the paper.",
    "Let me show you how to make the dough.", "Let's look at the finished cake.", "Okay now add the salt.",
    "We are asked to subscribe to the channel.", "The user opens the app and taps on start.",
    "The captions on the screen describe the recipe.", 'The sentence "thank you" appears on screen.',
    "Here is the finished dish.", "Step one: get a pomegranate and a bowl", "500 gram of flour is added.",
    "Error message pops up on the screen.",
    "Think of a name for the dog.", "None of the players score.", "Press the <enter> key.",
])
def test_sentences_that_pass_unchanged(text):
    assert check(text) == Verdict(text)


CLEANED = {
    "thinking": [
        "<think>\nwell, well.\n</think>\n\nChop it.", "<thinking>a</thinking> Chop it.",
        "<reasoning>a</reasoning>Chop it.", "<think>a<think>b</think>c</think>Chop it.",
        "they all chop.</think>\n\nChop it.", "\u25c1think\u25b7they chop\u25c1/think\u25b7Chop it.",
        "[THINK]a[/THINK]Chop it.", "analysisThe user wants one sentence.assistantfinalChop it.",
        "<|begin_of_thought|>a<|end_of_thought|>\nChop it.", "<unused94>thought\na<unused95>Chop it.",
        "Thought: They all chop. Answer: Chop it.", "**Reasoning:** they chop.\n**Answer:** Chop it.",
        "We need one sentence. All of them chop. Final answer: Chop it.",
        "<|channel|>analysis<|message|>They chop.<|end|><|start|>assistant<|channel|>final<|message|>Chop it.",
    ],
    "json": ['{"summary": "Chop it."}', '```json\n{"summary": "Chop it."}\n```', '["Chop it."]',
             '{"reasoning": "they chop", "summary": "Chop it."}', '{"result": {"sentence": "Chop it."}}'],
    "label": [
        "Answer: Chop it.", "**Summary:** Chop it.", "## Summary\nChop it.", "**Summary**\nChop it.", "TL;DR: Chop it.",
        "assistant\n\nChop it.", "Assistant: Chop it.",
        "Here is the summary:\n\nChop it.", "Sure! Here's the sentence: Chop it.", "Sure! Chop it.",
        "Here\u2019s a sentence that stands for all of these: Chop it.", "One-sentence summary: Chop it.",
        "Sure, here is one sentence, of at most 20 words, that stands for all of these:\n\nChop it.",
        "The one sentence that stands for all of these is: Chop it.", "Resumen: Chop it.", "\u7b54\u6848\uff1aChop it.",
        "Final answer - Chop it.", "**Summary** \u2014 Chop it.",
    ],
    "quotes": ['"Chop it."', "\u201cChop it.\u201d", "'Chop it.'", "`Chop it.`", "*Chop it.*", "\u00abChop it.\u00bb"],
    "markdown": ["**Chop it.**", "Chop **it**.", "- Chop it.", "1. Chop it.", "# Chop it.",
                 "```\nChop it.\n```", "```Chop it.```"],
    "special tokens": [
        "Chop it.<|im_end|>", "<s>Chop it.</s>", "[INST] question [/INST] Chop it.</s>", "Chop it.<pad><pad>",
        "<pad>Chop it.", "Chop it.<|eot_id|><|start_header_id|>user<|end_header_id|>And now?",
        "<|im_start|>assistant\nChop it.<|im_end|>", "<start_of_turn>model\nChop it.<end_of_turn>",
    ],
    "elements": ["<answer>Chop it.</answer>", "They chop. <answer>Chop it.</answer>", "<p>Chop it.</p>",
                 "\\boxed{\\text{Chop it.}}"],
    "word count": ["Chop it. (2 words)", "Chop it. [Word count: 2]"],
    "invalid characters": ["Chop it.\ud83d", "\ufeffChop it.", "Chop\x00 it."],
}


@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind, found in CLEANED.items() for answer in found])
def test_what_is_removed_around_the_answer(kind, answer):
    verdict = check(f"  {answer}\n")
    assert (verdict.text, verdict.problem) == ("Chop it.", "")
    assert kind in verdict.cleaned
    assert check(f"\udc00{answer}\n\ud83d").text == "Chop it.", "an emoji that was cut in two"


BAD = {
    EMPTY: ["", " \n ", '""', "...", "<think>a</think>", "\u200b", "{}", "</s>"],
    THINKING: [
        "<think> I wonder", "Chop it. <think>is that so", "\u25c1think\u25b7they chop", "Thought: They all chop.",
        "<|channel|>analysis<|message|>The user wants", "analysisThe user wants one sentence",
        "Okay, the user wants one sentence about onions", "Okay, so I need to write one sentence",
        "We need to produce one sentence of at most 20 words", "Let me think about this", "Let's analyze the sentences",
    ],
    CUT: ["A man chops the onion with a", "A man chops the onion, and", "A man chops some of the"],
    REFUSES: [
        "I'm sorry, but I can't help with that.", "I\u2019m sorry, but I can\u2019t comply with that.",
        "Sorry, but these have nothing in common.", "I apologize, but I am unable to summarize these sentences.",
        "As an AI language model, I cannot watch videos.", "I'm just an AI and have no access to videos.",
        "I cannot provide a summary of these sentences.", "I can't create explicit content.", "I can't do that.",
        "I'm unable to help you with that request.", "I do not have enough information to write the sentence.",
        "No sentences were provided.", "Could you please provide the texts?", "I must decline to answer.",
        "It seems you haven't provided any sentences.", "This request violates our content policy.",
        "I'd be happy to help! Please provide the sentences.", "I do not feel comfortable summarizing this.",
        "It is not possible to create one sentence from the given texts.", "Unable to comply.",
        "How can I help you today?",
        "Lo siento, pero no puedo ayudar con eso.", "N\u00e3o posso ajudar com isso.", "Je ne peux pas vous aider.",
        "Ich kann das nicht beantworten.", "\u3059\u307f\u307e\u305b\u3093\u3002",
        "\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u56de\u7b54\u3002",
    ],
    "repeats the question": [
        "Write the one sentence, of at most 20 words, that stands for all of these.",
        "The one sentence that stands for all of them.", "Cut the onion into small pieces; chop an onion finely",
    ],
    "is json": ['{"a": "x", "b": "y"}', '{"summary": "Chop', '["chop it", "fry it"]', "{'summary': 'chop it'}"],
    "is an error message": ["Error: rate limit exceeded", "Internal Server Error", "503 Service Unavailable"],
    "holds markup or special tokens": ["Chop it<br>", "Chop <|unknown|> it", "<sentence>"],
    "talks about the sentences": ["The sentences describe how to chop an onion.", "The common theme is chopping.",
                                  "Unfortunately, the captions do not share a theme.",
                                  "There is no single sentence that describes these."],
    "has several lines": ["Chop.\nFry.", "- Chop.\n- Fry.", "Chop.\rFry."],
    "is not a sentence alone": ["Here are the steps: chop", "Here is a caption on the wall: chop", "N/A", "null", "12",
                                "[insert sentence here]", "{{summary}}", "Okay."],
    "has several sentences": ["Chop it. Fry it.", 'He said "chop." Then he fried.', UNSPACED * 2,
                              "Режь лук. Жарь его."],
    "has more than 20 words": ["word " * 21, "\u5207" * 41, "word" * 100_000],
}


@pytest.mark.parametrize(("problem", "answer"), [(problem, one) for problem, found in BAD.items() for one in found])
def test_what_makes_an_answer_unusable(problem, answer):
    verdict = check(answer)
    assert (verdict.text, verdict.problem) == ("", problem)


@pytest.mark.parametrize("unit", ["<think>", "* ", "\n", "<answer>"])
def test_a_loop_of_any_length_is_judged_in_time(unit):
    """Well under a second; it was minutes where the time grew with the square of the length."""
    assert check(f"x {unit * 20_000} y").problem


@pytest.mark.parametrize("problem", [CUT, BLOCKED])
def test_what_the_server_says_counts_however_good_the_text(problem):
    assert check_answer(Answer("Chop it.", problem), 20) == Verdict("", problem)


PARTS = [*(text for found in CLEANED.values() for text in found), "chop ", "\n", "<", "**", '"', "{", "Answer: "]


@given(st.lists(st.sampled_from(PARTS), max_size=4))
def test_cleaning_twice_changes_nothing_more(parts):
    text = clean("".join(parts))[0]
    assert clean(text) == (text, ())


@given(st.text(max_size=200))
def test_any_text_is_judged_and_can_be_stored(text):
    verdict = check(text)
    assert bool(verdict.text) != bool(verdict.problem)
    verdict.text.encode()


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=9), min_size=4, max_size=20))
def test_plain_words_pass_unchanged(words):
    text = " ".join(["he", *words]) + "."
    assert clean(text) == (text, ())


def real_captions(shared, every: int) -> list[str]:
    files = ["yc2/train", "yc2/val", "anet/train", "anet/val_1", "anet/val_2"]
    found = dict.fromkeys(text.strip() for file in files for entry in read_json(shared / f"data/{file}.json").values()
                          for text in entry["sentences"])
    return list(found)[::every]


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_real_captions_pass_unchanged(shared, every):
    """All 84,008 of them, except that a summary must be one sentence on one line."""
    allowed = {"", "has several sentences", "has several lines"}
    for text in real_captions(shared, every):
        verdict = check_answer(Answer(text), 1000)
        assert verdict.problem in allowed and not verdict.cleaned, text
        assert verdict.problem or verdict.text == text


def test_words():
    texts = ("", "a", "a - b", "don't stop", "\u5207\u308b", "salt \u5207\u308b\u5207")
    assert [count_words(text) for text in texts] == [0, 1, 2, 2, 1, 3]


def test_one_sentence_for_many_nodes():
    tally, shown = Tally(), ("fry it", "cut it")
    for number in range(40):
        tally.add(f"own {number}", Verdict(f"Do number {number}."), shown)
        tally.add(f"own {number}", Verdict("counted before"), shown)
    for number in range(5):
        assert not tally.is_everywhere("The video shows cooking.", shown), "four may be alike"
        tally.add(f"same {number}", Verdict("The video shows cooking."), shown)
    assert tally.is_everywhere("the video shows cooking", shown)
    assert not tally.is_everywhere("The video shows cooking.", ("the video shows cooking", "a pan")), "it quotes a text"
    assert not tally.is_everywhere("Do number 1.", shown)


def test_when_there_is_no_use_in_going_on():
    tally = Tally()
    for number in range(FEW):
        assert not tally.too_many(0.5)
        tally.add(str(number), Verdict("", REFUSES) if number % 2 else Verdict("Cook."), ())
    found = tally.too_many(0.5)
    assert f"{FEW} of {FEW} answers" in found and f"{REFUSES}: {FEW // 2}" in found and f"{SAME}: {FEW // 2}" in found
    assert not tally.too_many(1.0)
