import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import mainclass
from langs.files import AppFiles
from tests.langs.conftest import Write

JAVA = "public class {} {{\n    public static void main(String[] args) {{}}\n}}\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"src/main/java/com/example/Shop.java": "package com.example;\n" + JAVA.format("Shop")}, "com.example.Shop"),
        ({"src/main/java/a/b/c/d/e/f/Deep.java": "package a.b.c.d.e.f;\n" + JAVA.format("Deep")}, "a.b.c.d.e.f.Deep"),
        ({"src/Main.java": JAVA.format("Main")}, "Main"),
        ({"Main.java": JAVA.format("Main")}, "Main"),
        ({"src/main/java/A.java": "class A {\n  static public final void main (String... a) {}\n}"}, "A"),
        ({"src/main/java/A.java": "class A {\n  void main(String[] a) {}\n}"}, None),
        ({"src/main/java/A.java": "class A {\n  // public static void main(String[] a)\n}"}, None),
        ({"src/main/java/A.java": "class A { public static void main(String[] a) {} }\n"}, "A"),
        ({"src/main/java/A.java": "/** Like\n * class A { public static void main(String[] a) {} }\n */"}, None),
        ({"src/test/java/A.java": JAVA.format("A"), "src/main/java/B.java": "class B {}"}, None),
        ({"src/main/kotlin/app.kt": "package shop\n\nfun main() {}\n"}, "shop.AppKt"),
        ({"src/main/kotlin/App.kt": "fun main(args: Array<String>) = run(args)\n"}, "AppKt"),
        ({"src/main/kotlin/App.kt": "suspend fun main() {}\n"}, "AppKt"),
        ({"src/main/kotlin/App.kt": '@file:JvmName("Start")\npackage shop\n\nfun main() {}\n'}, "shop.Start"),
        ({"src/main/kotlin/App.kt": "object Shop {\n    val a = 1\n\n    @JvmStatic\n    fun main() {}\n}"}, "Shop"),
        ({"src/main/kotlin/App.kt": "class Shop {\n    fun main() {}\n}\n"}, None),
        ({"src/main/java/Mixed.kt": "fun main() {}\n"}, "MixedKt"),
        ({"src/main/java/a-b.kt": "fun main() {}\n"}, None),
    ],
)  # fmt: skip
def test_the_class_with_a_main_method_is_found(write: Write, files: Mapping[str, str], found: str | None) -> None:
    result = mainclass.find(AppFiles(write(files)), "")

    assert (result[0] if result else None) == found


def test_of_several_the_likeliest_name_is_taken(write: Write) -> None:
    sources = {f"src/main/java/{name}.java": JAVA.format(name) for name in ("Admin", "ShopApplication", "Main", "Zoo")}

    assert mainclass.find(AppFiles(write(sources)), "") == ("Main", "src/main/java/Main.java")
    del sources["src/main/java/Main.java"]
    assert mainclass.find(AppFiles(write({f"other/{path}": text for path, text in sources.items()})), "other") == (
        "ShopApplication",
        "other/src/main/java/ShopApplication.java",
    )


@pytest.mark.parametrize(
    "text", [" " * 100_000, "object a\n" * 10_000, "object a\n" + " \n" * 50_000, "public " * 15_000]
)
def test_a_source_made_to_be_slow_is_looked_at_all_the_same(write: Write, text: str) -> None:
    root = write({f"src/main/java/A.{suffix}": f"{text}\nmain" for suffix in ("java", "kt")})
    began = time.monotonic()

    assert mainclass.find(AppFiles(root), "") is None
    assert time.monotonic() - began < 5


@given(st.text())
def test_only_plain_names_are_legal(name: str) -> None:
    found = mainclass.legal(name)

    assert found is None or (found == name and all(part.isidentifier() for part in name.split(".")) and name.isascii())
