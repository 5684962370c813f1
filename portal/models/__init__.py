"""Every table, one per file. Importing this package registers all of them with the database handle."""

from portal.models.activity import Activity
from portal.models.answer import Answer
from portal.models.approval import Approval
from portal.models.article_view import ArticleView
from portal.models.attachment import Attachment
from portal.models.business import Business
from portal.models.calendar import Calendar
from portal.models.connection import Connection
from portal.models.conversation import Conversation
from portal.models.copy import Copy
from portal.models.counter import Counter
from portal.models.disconnection import Disconnection
from portal.models.disconnection_step import DisconnectionStep
from portal.models.ended_subscription import EndedSubscription
from portal.models.entry import Entry
from portal.models.executor import Executor
from portal.models.limit_window import LimitWindow
from portal.models.live_event import LiveEvent
from portal.models.meeting import Meeting
from portal.models.member import Member
from portal.models.placement import Placement
from portal.models.presence import Presence
from portal.models.receipt import Receipt
from portal.models.self_check import SelfCheck
from portal.models.sign_in import SignIn
from portal.models.subscription import Subscription
from portal.models.token import Token

__all__ = [
    "Activity",
    "Answer",
    "Approval",
    "ArticleView",
    "Attachment",
    "Business",
    "Calendar",
    "Connection",
    "Conversation",
    "Copy",
    "Counter",
    "Disconnection",
    "DisconnectionStep",
    "EndedSubscription",
    "Entry",
    "Executor",
    "LimitWindow",
    "LiveEvent",
    "Meeting",
    "Member",
    "Placement",
    "Presence",
    "Receipt",
    "SelfCheck",
    "SignIn",
    "Subscription",
    "Token",
]
