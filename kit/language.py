"""Which of the platform's two languages a caller reads."""

from functools import lru_cache

REMEMBERED = 256


def prefers_english(accept_language: str) -> bool:
    """By the order and weights of RFC 9110 §12.5.4, reduced to the two languages that there are; else Chinese.

    Browsers send the same few headers again and again: what short ones mean is remembered.
    """
    return _remembered(accept_language) if len(accept_language) <= REMEMBERED else _read(accept_language)


def _read(accept_language: str) -> bool:
    weights = {"zh": 0.0, "en": 0.0}
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.split("-")[0].lower()
        if language not in weights:
            continue
        try:
            weight = float(parameter.partition("q=")[2] or 1)
        except ValueError:
            weight = 0.0
        weights[language] = max(weights[language], weight)
    return weights["en"] > weights["zh"]


_remembered = lru_cache(REMEMBERED)(_read)
