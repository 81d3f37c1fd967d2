"""The one error tree. Each class says who must act; `str(error)` is one sentence that a person may read.

    AntiphonError
    ├── ConfigError          the operator: a setting is wrong, unknown or missing
    ├── ModuleError          the developer: an extension cannot be found or loaded
    ├── ValidationError      the caller: the input is not acceptable as it stands
    │   └── NotFoundError    the caller: what was named does not exist, or not for this person
    ├── ProcessingError      nobody at once: one piece of work failed, the rest goes on
    │   ├── ToolError        the model: a tool could not do what it was asked
    │   ├── NotAllowedError  the person: a plugin refused a turn or a call, and says why
    │   └── ResourceError    whoever set the limit: work needed more than it was given
    ├── PluginError          whoever wrote or installed it: a plugin cannot be taken into the house
    ├── ServiceError         the operator: a part of the house (store, socket, task) is not usable
    ├── ProviderError        depends on `code`: the vendor of a model refused, failed or went silent
    └── AdapterError         depends on `code`: a messaging platform refused or failed

An edge (HTTP, socket, command line, a turn) translates an error into its protocol; nothing between catches broadly.
"""

from typing import ClassVar


class AntiphonError(Exception):
    """Base of every error raised on purpose by this package.

    `public` is the sentence that may be shown to any person: it names what happened and what to do next,
    and holds no secret, path or text of a message. It is the message itself unless given.
    """

    code: ClassVar[str] = "error"
    retryable: bool = False

    def __init__(self, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = public if public is not None else message


class ConfigError(AntiphonError):
    """A setting is wrong, unknown or missing; the sentence names it."""

    code = "config"


class ModuleError(AntiphonError):
    """An extension is not known or cannot be loaded; the sentence names it and what to install."""

    code = "module"


class ValidationError(AntiphonError):
    """The caller's input is not acceptable; sending the same again gives the same answer."""

    code = "validation"


class NotFoundError(ValidationError):
    """What was named does not exist, or not for this person: the two are not told apart."""

    code = "not_found"


class ProcessingError(AntiphonError):
    """One piece of work failed; the sentence says which."""

    code = "processing"


class ToolError(ProcessingError):
    """Raised by a tool to tell the model, in words, why it could not do what it was asked."""

    code = "tool"


class NotAllowedError(ProcessingError):
    """Raised by a hook of a plugin to refuse a turn or the call of a tool; the sentence is for people."""

    code = "not_allowed"


class ResourceError(ProcessingError):
    """A piece of work needed more processor, memory, storage or output than it was given; the sentence names which."""

    code = "resource"


class PluginError(AntiphonError):
    """A plugin cannot be taken into the house; the sentence names it and what is wrong with it."""

    code = "plugin"


class ServiceError(AntiphonError):
    """A part of the house is not usable now (store closed, disk full, draining).

    `retry_after` is in seconds where it is known when that may be over.
    """

    code = "service"
    retryable = True

    def __init__(self, message: str, *, public: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, public=public)
        self.retry_after = retry_after


class ProviderError(AntiphonError):
    """The vendor of a model refused, failed or went silent.

    `kind` is one of `providers.base.ErrorKind`; `retry_after` is in seconds when the vendor named a time.
    """

    code = "provider"

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        public: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, public=public)
        self.kind = kind
        self.retryable = retryable
        self.retry_after = retry_after


class AdapterError(AntiphonError):
    """A messaging platform refused or failed to take a message."""

    code = "adapter"

    def __init__(self, message: str, *, public: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, public=public)
        self.retryable = retryable
