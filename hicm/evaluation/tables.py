"""Tables in Markdown and LaTeX."""

from collections.abc import Sequence


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = (), names: int = 1) -> str:
    """A table with the first ``names`` columns aligned left, the others right, and notes as code below it.

    >>> print(markdown(["", "C"], [["ours", "1.0"]]))
    |  | C |
    |---|---:|
    | ours | 1.0 |
    """
    lines = [headings, [*["---"] * names, *["---:"] * (len(headings) - names)], *rows]
    made = ["|" + "|".join(f" {cell} " if cell[:3] != "---" else cell for cell in line) + "|"
            for line in ([str(cell).replace("|", "\\|") for cell in line] for line in lines)]
    return "\n".join([*made, *(f"\n`{note}`" for note in notes)])


def latex(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = (), names: int = 1) -> str:
    r"""A booktabs table with the first ``names`` columns aligned left; notes become comments.

    >>> print(latex(["", "B4"], [["a_b", "1.0 [0.5, 2.0]"]]))
    \begin{tabular}{lr}
    \toprule
     & B4 \\
    \midrule
    a\_b & 1.0 {\scriptsize [0.5, 2.0]} \\
    \bottomrule
    \end{tabular}
    """
    def number(text: str) -> str:
        if text[:1] in ("+", "-", "["):
            return f"${text}$"  # a sign, not a hyphen
        value, bracket, rest = _escape(text).partition(" [")
        return f"{value} {{\\scriptsize [{rest}}}" if bracket and rest.endswith("]") else _escape(text)

    body = [" & ".join([*map(_escape, row[:names]), *map(number, row[names:])]) + r" \\" for row in rows]
    return "\n".join([rf"\begin{{tabular}}{{{'l' * names}{'r' * (len(headings) - names)}}}", r"\toprule",
                      " & ".join(map(_escape, headings)) + r" \\", r"\midrule", *body, r"\bottomrule",
                      r"\end{tabular}", *(f"% {note}" for note in notes)])


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)
