# SPDX-License-Identifier: BSD-3-Clause
"""Formulas and contrasts that must be refused in words, at once, and without any effect.

``PATH`` stands for a file that must not come to be. Columns are age, site (numbers), group (text).
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Python's own parser imports them where a text has an escape or a byte order mark.
_CODECS_OF_THE_PARSER = ("unicode_escape", "raw_unicode_escape", "utf-8-sig")
_EVENTS = ("exec", "os.system", "subprocess.Popen", "pickle.find_class")
_watched: list[str] = []
_watching: list[bool] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in _EVENTS or writes:
        _watched.append(f"{event} {arguments!r}"[:200])


@contextmanager
def nothing_executed() -> Iterator[None]:
    """Assert that within, no code object is executed, no process started and no file written.

    What is imported within counts, so it must have been before.
    """
    for codec in _CODECS_OF_THE_PARSER:
        codecs.lookup(codec)
    if _watch not in _hooks:
        sys.addaudithook(_watch)
        _hooks.append(_watch)
    _watched.clear()
    _watching.append(True)
    try:
        yield
    finally:
        _watching.clear()
        assert not _watched, _watched  # also where what was within raised


_hooks: list[Any] = []  # which cannot be removed
_CALL = '__import__("os").system("touch PATH")'

# Each pretends, to one reader or another, that code is a name, a text or a number.
_CODE = [
    f'I(age + 0*(("`"=="") + {_CALL} + ("`"=="")))',
    f"I(age + 0*(('`'=='') + {_CALL} + ('`'=='')))",
    f"I(age + (`age` == '`') + {_CALL})",
    f"C(group, Treatment('`')) + I({_CALL}) + C(group, Treatment('`'))",
    f"I(`age`) + I({_CALL})",
    f"`age` + {_CALL}",
    f"I(`{_CALL})`)",
    f"{{`age` + {_CALL}}}",
    f"{{{_CALL}}}",
    f"I({_CALL})",
    f"np.log(age, {_CALL})",
    f"C(group, {_CALL})",
    f"C(group, levels={_CALL})",
    f"bs(age, df={_CALL})",
    f"bs(age, knots=[{_CALL}])",
    f"I(age[{_CALL}])",
    f"I([{_CALL} for x in age][0])",
    f"I((lambda: {_CALL})())",
    f"I((x := {_CALL}))",
    f"I(age if {_CALL} else age)",
    f"I(age and {_CALL})",
    f"I(not {_CALL})",
    f"I(f'{{{_CALL}}}')",
    f"I(**{_CALL})",
    f"I(*{_CALL})",
    f"I(age, **{{'x': {_CALL}}})",
    f"I({{'x': {_CALL}}})",
    f"I({{{_CALL}}})",
    f"I(age @ {_CALL})",
    f"I(age in {_CALL})",
    f"I(age is {_CALL})",
    f"I(await {_CALL})",
    f"I((yield {_CALL}))",
    f"poly(age, {_CALL})",
    f"scale(age, center={_CALL})",
    f"age:{_CALL}",
    f"age %in% {_CALL}",
    f"(age + {_CALL})**2",
    f"age ** {_CALL}",
    f"age - {_CALL}",
    "I(open('PATH', 'w'))",
    "I(age.to_csv('PATH'))",
    "I(age.to_pickle('PATH'))",
    "age.to_csv('PATH')",
    "`age`.to_csv('PATH')",
    "np.save('PATH', age)",
    "np.savetxt('PATH', age)",
    "I(np.memmap('PATH', mode='w+', shape=9))",
    "np.load('PATH', allow_pickle=True)",
    "np.fromfile('PATH')",
    "np.f2py.compile('PATH')",
    "np.log.__class__(age)",
    "np.log.reduce(age)",
    "np.add.at(age, 0, 1)",
    "np.array(age)",
    "np.lib.format.open_memmap('PATH', mode='w+', shape=(9,))",
    "contr.custom(age)",
    "C(group, contr.custom(open('PATH', 'w')))",
    "log(age).tofile('PATH')",
    "I(age).__class__.__mro__",
    "I(age.__class__.__base__.__subclasses__())",
    "I((1).__class__)",
    "I('{0.__class__}'.format(age))",
    "I(getattr(age, 'to_csv')('PATH'))",
    "eval('1')",
    'exec(\'open("PATH", "w")\')',
    "compile('1', '', 'eval')",
    "globals()",
    "vars(np)",
    "breakpoint()",
    "Q('age')",
    "hashed(age)",
    "lag(age)",
    "stateful_eval('1')",
    "__FORMULAIC_CONTEXT__",
    "I(__FORMULAIC_STATE__)",
    "I(__builtins__)",
    "I(np)",
    "age; import os",
    "age\nimport os",
    "age # `\n + I(age)`",
]

# Arguments that would change the table, and some that only look like it.
_EFFECTS = [
    "np.exp(age, out=age)",
    "np.exp(age, age)",
    "np.log(age, where=age)",
    "np.sqrt(x=age, out=site)",
    "np.clip(age, 0, 1, out=age)",
    "np.maximum(age, site, site)",
    "np.where(age > 3, age, site, age)",
    "np.abs(age, casting='unsafe', out=age)",
    "center(age, _state=age)",
    "poly(age, 2, _state=site)",
    "bs(age, df=4, _state=site)",
    "C(group, spans_intercept=False)",
    "scale(age, ddof=age)",
]

# Too large, too deep or too slow for anything that reads it without care.
_SIZE = [
    "I(age ** 1000000)",
    "I(9 ** 9 ** 9 * age)",
    "I(age ** 9 ** 9)",
    "I(age * 1e999)",
    "I(age * " + "9" * 600 + ")",
    "I('a' * 10**9 == group)",
    "I([0] * 10**9)",
    "bs(age, degree=3000)",
    "bs(age, df=1000000)",
    "bs(age, knots=[" + "1, " * 200 + "2])",
    "cr(age, df=1000000)",
    "cc(age, df=10**8)",
    "poly(age, 5000000)",
    "poly(age, degree=-1)",
    "C(group, Poly(scores=[" + "1, " * 200 + "2]))",
    "(" + "+".join(f"`{i}`" for i in range(40)) + ")**20",
    "(age + site + group)**1000000000000",
    "((((age + site)**20)**20)**20)**20" + "**20" * 20,
    "age**2**3",
    "*".join(f"`{i}`" for i in range(26)),
    "(" + ":".join("abcdefgh") + ")",
    "/".join("abcdefghijkl"),
    " %in% ".join("abcdefghijkl"),
    "(" * 5000,
    "(" * 60 + "age" + ")" * 60,
    "I(" * 200 + "age" + ")" * 200,
    "{" * 30 + "age" + "}" * 30,
    "I(" + "[" * 300 + "]" * 300 + ")",
    "I(" + "-" * 900 + "age)",
    "I(" + "~" * 900 + "(age > 3))",
    "I(" + "not " * 200 + "age)",
    "I(age" + " + age" * 150 + ")",
    "I(" + "lambda:" * 100 + "age)",
    "age + " * 100_000 + "age",
    "a" * 1_000_000,
    "`" * 4_999,
    '"' * 4_999,
    '"\\' * 2_499,
    "'\\''" * 1_200,
    'I("' + "\\" * 4_000,
    "+" * 4_999,
    "-" * 4_999 + "age",
    "%" * 4_999,
    "." * 4_999,
    "1" * 4_999,
    "age**" + "1" * 4_000,
    "{" * 4_999,
    "I(" + "f(a for " * 100 + ")",
]

# What is not a formula, or not one of this design.
_WORDS = [
    "",
    " ",
    "~",
    "~ ~ age",
    "age ~ group",
    "~ age | group",
    "age +",
    "* age",
    "age **",
    "age age",
    "age, site",
    "(age",
    "age)",
    "[age]",
    "age[0]",
    "I()",
    "I(age))",
    "'age'",
    '"age" + age',
    "0x10:age",
    "1e999999999:age",
    "2:age",
    "0:age",
    "I(1)",
    "I(5):age",
    "age + -1",
    "age - -age",
    "- age",
    "age - site",
    "age - 0",
    ".",
    "age + .",
    "$age",
    "age @ site",
    "age\x00",
    "\ud800",
    "`age",
    "``",
    "I(group)",
    "log(group)",
    "I(group > 3)",
    "I(group == 3)",
    "I(age == 'b')",
    "I(age > np.log(-age))",
    "I(age & site)",
    "C(group, 'a')",
    "C(group, [[1, 2]])",
    "C(group, Treatment('nobody'))",
    "C(group, levels=['a'])",
    "C(poly(age, 2))",
    "I(poly(age, 2))",
    "poly(site, 3)",
    "Treatment('a')",
    "contr.sum()",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "age; rm -rf PATH",
    "$(touch PATH)",
    "{{ 7 * 7 }}",
    "{% import os %}",
    "%s%n",
    "\\x41",
]

FORMULAS = [*_CODE, *_EFFECTS, *_SIZE, *_WORDS]

CONTRASTS = [
    _CALL,
    f"age + {_CALL}",
    f'age + 0*("`"=="") + {_CALL}',
    f"`age` + {_CALL} + `age`",
    f"age * {_CALL}",
    f"[{_CALL}]",
    f"[0, {_CALL}, 0]",
    f"{_CALL} = 0",
    f"age = {_CALL}",
    "open('PATH', 'w')",
    "I(open('PATH', 'w'))",
    "age.to_csv('PATH')",
    "[x for x in age]",
    "(lambda: age)()",
    "f'{age}'",
    "(x := age)",
    "age if age else age",
    "age[0]",
    "{'age': 1}",
    "*age",
    "**age",
    "eval('age')",
    "1e999999999*age",
    "9**9**9*age",
    "age**2",
    "age*age",
    "age*" + "9" * 600,
    "9" * 10_000 + "*age",
    "(" * 10_000 + "age",
    "(" * 90 + "age" + ")" * 90,
    "-" * 19_000 + "age",
    "~" * 19_000 + "age",
    "[" * 5_000,
    "`" * 19_999,
    '"' * 19_999,
    '"\\' * 9_999,
    "a" * 1_000_000,
    "age + " * 100_000 + "age",
    "age/0",
    "age/(1-1)",
    "0*age",
    "age - age",
    "age + 1",
    "nobody",
    "`nobody`",
    "age site",
    "age; import os",
    "age == 5",
    "age = site = 0",
    "=",
    "[]",
    "[1]",
    "[1, 2, 3, 4, 5, 6, 7, 8, 9]",
    "[[1, 0], [0]]",
    "[nan, 0, 0, 0]",
    "0",
    "1",
    "",
    " ",
    "age\x00",
    "\ud800",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "{{ 7 * 7 }}",
    "%s%n",
    "$age$",
]
