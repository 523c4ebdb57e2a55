"""Damage bytes and texts at random, in the ways in which files are damaged by accident or by intent.

In: content and a random generator. Out: changed content; about one in twelve stays as it is, so that the good case is
drilled as well.
"""

from random import Random

# Numbers that lie about sizes: nothing, everything, and the edges of signed integers.
_SIZES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80")
_WORDS = (
    *('!!int ""', "!!bool x", "!!timestamp x", "!!binary x", "!!python/object/apply:os.system [x]", "!!float z"),
    *("[" * 3000, "{a: " * 2000, "&a [*a]", "*unknown", "<<: 3", "? [a]", '"\\U00110000"', '"\\x1b[2J"', "\t", "---"),
    *("null", "~", ".nan", ".inf", "-.inf", "1e999", "-1", "0", "1" * 5000, "0x" + "f" * 400, "3.5", "true", "''"),
    *("[]", "{}", "[1, 2]", "{a: 1}", "../../x", "/dev/zero", "/", "é\u202e", "2001-01-01", "!!set {a}", "NaN"),
    *("1e308", "-0.0", "Infinity", "123456789012345678901234567890", '"a', "'a", "%TAG ! x", "@", "`"),
)


def mutated_bytes(content: bytes, random: Random) -> bytes:
    """Apply one to three kinds of damage; half of them hit the first 300 bytes, where headers are."""
    if random.random() < 1 / 12:
        return content
    for _ in range(random.randint(1, 3)):
        content = _damaged(content, random)
    return content


def _damaged(content: bytes, random: Random) -> bytes:
    if not content:
        return random.randbytes(random.randint(0, 40))
    reach = min(len(content), 300) if random.random() < 0.5 else len(content)
    at = random.randrange(reach)
    length = random.choice((1, 2, 4, 16, 200, len(content)))
    kind = random.randrange(9)
    changed = bytearray(content)
    if kind == 0:
        return content[:at]
    if kind == 1:  # repeat a part
        return content[: at + length] + content[at:]
    if kind == 2:  # leave a part out
        return content[:at] + content[at + length :]
    if kind == 3:  # insert random bytes
        return content[:at] + random.randbytes(min(length, 64)) + content[at:]
    if kind == 4:  # a size that lies
        changed[at : at + 4] = random.choice(_SIZES)
    elif kind == 5:
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    elif kind == 6:  # swap two parts
        other = random.randrange(len(content))
        part = changed[at : at + 8]
        changed[at : at + 8], changed[other : other + 8] = changed[other : other + 8], part
    else:  # single bits and bytes
        for _ in range(random.randint(1, 8)):
            where = random.randrange(min(reach, len(changed)))
            changed[where] = random.randrange(256) if kind == 7 else changed[where] ^ (1 << random.randrange(8))
    return bytes(changed)


def mutated_text(text: str, random: Random) -> bytes:
    """Change the lines and words of a text, or its bytes; returns UTF-8, mostly."""
    if random.random() < 1 / 12:
        return text.encode()
    if random.random() < 0.2:
        return mutated_bytes(text.encode(), random)
    lines = text.splitlines()
    for _ in range(random.randint(1, 3)):
        _change_line(lines, random)
    return "\n".join(lines).encode("utf-8", "replace")


def nasty_word(random: Random) -> str:
    """A value that options, cards and documents do not expect."""
    return random.choice(_WORDS)


def _change_line(lines: list[str], random: Random) -> None:
    if not lines:
        lines.append(nasty_word(random))
        return
    at = random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[random.randrange(len(lines))])
    elif kind == 2:
        lines[at] = " " * random.randint(1, 5) + lines[at]
    elif kind == 3 and ":" in lines[at]:  # another value for a key
        lines[at] = f"{lines[at].partition(':')[0]}: {nasty_word(random)}"
    elif kind == 4 and ":" in lines[at]:  # another key
        lines[at] = f"{nasty_word(random)}: {lines[at].partition(':')[2]}"
    else:  # one word of the line
        words = lines[at].split(" ")
        words[random.randrange(len(words))] = nasty_word(random)
        lines[at] = " ".join(words)
