"""Names of objects: which keys are accepted, and how a client's filename becomes a harmless part of one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from orthoray.errors import BadInput, ConfigurationError, Impossible

MAX_KEY_BYTES = 1024  # S3
MAX_COMPONENT_BYTES = 255  # Linux file systems
MAX_FILENAME_BYTES = 200  # leaves room for what callers put before and after it

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED = frozenset('<>:"|?*#%&;{}^`$')  # by Windows, URLs and shells
# Cc and Cs cannot be stored everywhere; Cf and the separators can only mislead who reads the name
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_bucket(name: str) -> str:
    """Return `name` when it is a bucket name by the rules of S3.

    Raises:
        ConfigurationError: it is not; bucket names come from the settings.
    """
    if not _BUCKET.fullmatch(name) or ".." in name:
        raise ConfigurationError(
            f"The bucket name {name!r} is not allowed: "
            "use 3 to 63 lower-case letters, digits, dots and hyphens."
        )
    return name


def check_key(key: str) -> str:
    """Return `key` when it is safe on every back end.

    Refused are: the empty key; leading, trailing and double slashes (so absolute paths too); the components
    `.` and `..`; backslashes; control characters and lone surrogates; more than 1024 bytes of UTF-8, or 255
    in a component.

    Raises:
        BadInput: the key is refused.
    """
    for component in key.split("/"):
        if component in {"", ".", ".."}:
            raise BadInput("The object key is empty, absolute or has an empty, '.' or '..' part.")
        if len(_utf8(component)) > MAX_COMPONENT_BYTES:
            raise BadInput(f"A part of the object key is longer than {MAX_COMPONENT_BYTES} bytes.")
    if len(_utf8(key)) > MAX_KEY_BYTES:
        raise BadInput(f"The object key is longer than {MAX_KEY_BYTES} bytes.")
    # U+FFFE and U+FFFF cannot stand in the XML of an S3 listing
    if any(letter in "\\\ufffe\uffff" or unicodedata.category(letter) == "Cc" for letter in key):
        raise BadInput("The object key has a backslash or a control character.")
    return key


def check_folder(prefix: str) -> str:
    """Return the folder `prefix` with exactly one slash at its end.

    Raises:
        BadInput: it is empty or not a safe key.
    """
    return check_key(prefix.removesuffix("/")) + "/"


def check_prefix(prefix: str) -> str:
    """Return `prefix` when safe keys can start with it; the empty one stands for all keys.

    Raises:
        BadInput: no safe key starts like this.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def safe_filename(name: str) -> str:
    r"""A client's filename as one harmless path component that a person still recognises.

    The last component by `/` and `\`, in NFC, without invisible and reserved characters, without leading dots
    and outer spaces; letters of every script, digits, inner spaces, `-`, `_`, `.` and parentheses stay. At
    most 200 bytes of UTF-8, cut before the extension. What has nothing left is called `file`. Applying it
    twice changes nothing.
    """
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(
        letter
        for letter in unicodedata.normalize("NFC", last)
        if letter not in _RESERVED and unicodedata.category(letter) not in _INVISIBLE
    )
    # NFC again: what was removed may have kept a letter from its accent
    cleaned = " ".join(unicodedata.normalize("NFC", visible).split()).lstrip(". ").rstrip(". ")
    stem, dot, extension = cleaned.rpartition(".")
    if not dot or not stem or len(extension.encode()) > 16:
        stem, extension = cleaned, ""
    suffix = f".{extension}" if extension else ""
    cut = stem.encode()[: MAX_FILENAME_BYTES - len(suffix.encode())].decode(errors="ignore").rstrip(". ")
    return f"{cut or 'file'}{suffix}"


def distinct_filenames(names: Sequence[str]) -> list[str]:
    """`safe_filename` of each of the files that become one imagery; a mask (`field.tif.msk`) keeps the name of its image.

    Raises:
        Impossible: two names are one, also where case does not count: which file is which would be a guess.
    """
    found: dict[str, str] = {}
    for name in names:
        image, mark = (name[:-4], name[-4:]) if name.casefold().endswith(".msk") else (name, "")
        safe = safe_filename(image) + mark if image else safe_filename(name)
        if safe.casefold() in found:
            raise Impossible(
                f"Two files are called {safe}: send each file once, and give files that differ names that tell "
                "them apart, such as field_red.tif and field_nir.tif.",
                filename=safe,
            )
        found[safe.casefold()] = safe
    return list(found.values())


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadInput("The object key is not valid Unicode.") from None
