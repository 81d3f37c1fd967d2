"""What the API answers with, as programs see it: each field with its type, its bounds and what it means.

The conversation flow makes these objects (`conversation.live`), and the socket sends the very same ones.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from antiphon.domain import MessageStatus, Role, Thumb, Verdict

ULID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""https://github.com/ulid/spec: 128 bits in Crockford's base 32, upper case as we write it."""

VISIBLE = r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f][^\x00]*$"
"""A text with at least one visible character, and no NUL, which no database keeps."""

Id = Annotated[str, Field(pattern=ULID, examples=["01M7YTFAF3A5C20VBDC381VVAW"])]
IdInPath = Annotated[str, Path(pattern=ULID, examples=["01M7YTFAF3A5C20VBDC381VVAW"])]
PersonInPath = Annotated[str, Path(pattern=r"^[0-9A-Za-z]{1,26}$", examples=["local"])]
"""`local` is the id of a person too."""

Elapsed = Annotated[float, Field(ge=0, description="Milliseconds.")]
Count = Annotated[int, Field(ge=0)]


class Shape(BaseModel):
    """Base of what is answered: exactly these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConversationShape(Shape):
    """The record of one exchange."""

    id: Id
    title: str = Field(examples=["What is 17% of 2340?"])
    assistant: str = Field(description="Name of the assistant that answers.", examples=["guide"])
    adapter: str = Field(description="Where it takes place.", examples=["web"])
    model: str | None = Field(description="Its own model, when one was chosen with `/model`.")
    created_at: datetime
    updated_at: datetime


class TextShape(Shape):
    """Text as it is shown."""

    type: Literal["text"]
    text: str


class ReasoningShape(Shape):
    """What the model showed of its thinking."""

    type: Literal["reasoning"]
    text: str


class ToolShape(Shape):
    """One call of a tool and what came of it."""

    type: Literal["tool"]
    call_id: str
    name: str
    arguments: str = Field(description="JSON text as the model wrote it.")
    status: Literal["running", "done", "failed", "cancelled"]
    result: str | None
    elapsed_ms: Elapsed | None


class NoticeShape(Shape):
    """A sentence of the house about this message, for example why it was interrupted."""

    type: Literal["notice"]
    code: str
    text: str


AnyShape = Annotated[TextShape | ReasoningShape | ToolShape | NoticeShape, Field(discriminator="type")]


class UsageShape(Shape):
    """Tokens of the model calls behind one answer."""

    input_tokens: Count
    output_tokens: Count
    cached_tokens: Count
    reasoning_tokens: Count
    cost: float | None = Field(description="US dollars; null when the price is unknown.")
    estimated: bool = Field(description="Whether we counted because the vendor did not.")


class AttachmentShape(Shape):
    """A file that a message names."""

    id: Id | None = Field(description="Of a file that is kept here; null when it stays where it came from.")
    name: str = Field(examples=["plan.png"])
    media_type: str = Field(examples=["image/png"])
    size: Count = Field(description="Bytes.")
    url: str | None = Field(description="Where its bytes are.", examples=["/api/v1/files/01M7YTFAF3A5C20VBDC381VVAW"])


class FeedbackShape(Shape):
    """What the person of a conversation says of an answer."""

    verdict: Thumb
    comment: str | None
    given_at: datetime


class MessageShape(Shape):
    """One message. Sorted by (`ticket`, `position`), every answer stands behind its question."""

    id: Id
    conversation_id: Id
    position: int = Field(ge=1, description="Number in the order in which messages were stored.")
    ticket: int = Field(ge=1, description="Position of the question that this belongs to.")
    role: Role = Field(description="`system` is the house itself speaking.")
    text: str
    turn_id: Id
    status: MessageStatus = Field(description="`accepted` while a question waits; then the outcome of its turn.")
    created_at: datetime
    parts: list[AnyShape] = Field(description="Its pieces, in the order in which they came.")
    attachments: list[AttachmentShape] = Field(description="Files that it names.")
    person: str | None = Field(description="Id of who wrote it; null when the house or an assistant did.")
    assistant: str | None
    model: str | None
    usage: UsageShape | None
    elapsed_ms: Elapsed | None
    feedback: FeedbackShape | None = Field(description="Null while nobody has judged it.")


class ApprovalShape(Shape):
    """A call that a person must allow before it is carried out."""

    id: Id
    turn_id: Id
    conversation_id: Id
    call_id: str = Field(description="As in the tool part of the answer.")
    name: str = Field(description="Of the tool.", examples=["forget"])
    arguments: str = Field(description="JSON text as the model wrote it.")
    asked_at: datetime
    expires_at: datetime
    verdict: Verdict | None = Field(description="Null while nobody has answered.")
    reason: str | None
    decided_by: str | None = Field(description="Id of who answered; null when nobody did in time.")
    code: str = Field(description="What to type behind `/approve` and `/deny`.", examples=["VVAW"])


class AssistantShape(Shape):
    """Somebody to talk to."""

    name: str = Field(examples=["guide"])
    description: str
    model: str | None = Field(description="Its own model; null when it answers with the default one.")
    tools: list[str] = Field(description="Names of the tools it may use.", examples=[["calculator", "clock"]])
    capabilities: list[str] = Field(description="What it can do, in its own words.", examples=[["recipes"]])


class ModelShape(Shape):
    """A model on offer."""

    id: str = Field(description="`provider:model`, or the name of a provider that has one model.", examples=["demo"])
    provider: str
    model: str
    resting: float | None = Field(
        None, description="Seconds for which its provider is left alone because it keeps failing; null: it is asked."
    )
    exhausted: float | None = Field(
        None, description="Seconds until its rate limits allow it again, where that is long; null: they allow it."
    )


class PassageShape(Shape):
    """Something that was found."""

    source: str = Field(description="Where: `messages`, `facts` or `manual`.", examples=["messages"])
    id: str = Field(description="Of the message or fact; of a section of the manual its file and heading.")
    title: str = Field(description="Title of the conversation, or the headings above the section; empty for a fact.")
    text: str = Field(description="With the words that were looked for in «».", examples=["The «lighthouse» is open."])
    score: float = Field(ge=0, description="Only compared with others of the same answer.")
    when: datetime | None
    role: Role | None = Field(description="Who said it, of a message.")
    reference: str | None = Field(description="Of a message its conversation, of a fact the message it comes from.")


class FactShape(Shape):
    """One remembered thing about a person."""

    id: str = Field(pattern=ULID)
    person_id: str
    text: str = Field(examples=["Likes green tea"])
    created_at: datetime
    source_message_id: str | None = Field(description="The message it comes from.")
    assistant: str | None = Field(description="Who kept it; null when the person did.")
    importance: int = Field(ge=1, le=5, description="5 matters most.")
    extracted: bool = Field(description="Whether a model found it in the message; nobody asked to keep it.")


class PersonShape(Shape):
    """One human, with any number of accounts on platforms."""

    id: str = Field(examples=["local"])
    name: str = Field(examples=["Ada"])
    created_at: datetime
    operator: bool = Field(description="Whether the inside of the house is for them.")
    preferred_model: str | None = Field(description="Null for that of the house.", examples=["demo"])
    language: str | None = Field(description="Tag (BCP 47); null for that of each question.", examples=["pt-BR"])


class PersonPage(Shape):
    items: list[PersonShape]
    cursor: str | None = Field(description="For the next page; null when this is the last.")


class FactList(Shape):
    items: list[FactShape]


class ConversationList(Shape):
    items: list[ConversationShape]


class ApprovalPage(Shape):
    items: list[ApprovalShape]
    cursor: str | None = Field(description="For the next page; null when this is the last.")


class MessagePage(Shape):
    items: list[MessageShape]
    more: bool = Field(description="Whether there are earlier ones.")


class AssistantList(Shape):
    items: list[AssistantShape] = Field(description="The default one first.")


class ModelList(Shape):
    default: str = Field(description="The one that answers unless another is chosen.", examples=["demo"])
    items: list[ModelShape]


class SearchResult(Shape):
    items: list[PassageShape] = Field(description="The best first, the same text once.")
    left_out: list[str] = Field(description="Sources that gave no answer in time: there may be more.")
