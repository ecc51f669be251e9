"""Contains all the data models used in inputs/outputs"""

from .action import Action
from .alert_reply import AlertReply
from .alerts_reply import AlertsReply
from .audit_entry_reply import AuditEntryReply
from .audit_entry_reply_detail import AuditEntryReplyDetail
from .audit_reply import AuditReply
from .batch_reply import BatchReply
from .batch_request import BatchRequest
from .body_search_by_upload import BodySearchByUpload
from .by import By
from .case_change import CaseChange
from .case_reply import CaseReply
from .case_seed_reply import CaseSeedReply
from .case_state import CaseState
from .cases_reply import CasesReply
from .changed_groups_reply import ChangedGroupsReply
from .dead_letter_reply import DeadLetterReply
from .decided_image_reply import DecidedImageReply
from .decision_reply import DecisionReply
from .decision_request import DecisionRequest
from .decisions_reply import DecisionsReply
from .deliveries_reply import DeliveriesReply
from .delivery_reply import DeliveryReply
from .delivery_reply_event import DeliveryReplyEvent
from .delivery_state import DeliveryState
from .entries_reply import EntriesReply
from .entry_reply import EntryReply
from .estimate_reply import EstimateReply
from .explain_reply import ExplainReply
from .export_format import ExportFormat
from .group_reply import GroupReply
from .group_state import GroupState
from .groups_format import GroupsFormat
from .groups_reply import GroupsReply
from .histogram_reply import HistogramReply
from .hit import Hit
from .hit_attributes import HitAttributes
from .image_reply import ImageReply
from .image_reply_attributes import ImageReplyAttributes
from .images_reply import ImagesReply
from .judge_request import JudgeRequest
from .judged_image import JudgedImage
from .judgement_reply import JudgementReply
from .judgement_reply_image_type_0 import JudgementReplyImageType0
from .judgement_reply_search_type_0 import JudgementReplySearchType0
from .judgements_reply import JudgementsReply
from .key_request import KeyRequest
from .keys_reply import KeysReply
from .left_reply import LeftReply
from .listed_case import ListedCase
from .listed_decision import ListedDecision
from .listed_image import ListedImage
from .listed_image_attributes import ListedImageAttributes
from .listed_key import ListedKey
from .listed_key_state import ListedKeyState
from .livez_response_livez import LivezResponseLivez
from .made_key import MadeKey
from .made_key_state import MadeKeyState
from .member_reply import MemberReply
from .member_reply_attributes import MemberReplyAttributes
from .new_case import NewCase
from .new_decision import NewDecision
from .new_watch_request import NewWatchRequest
from .new_watch_request_filter import NewWatchRequestFilter
from .next_reply import NextReply
from .next_request import NextRequest
from .next_request_filter import NextRequestFilter
from .precision_reply import PrecisionReply
from .problem_document import ProblemDocument
from .problem_field import ProblemField
from .progress_reply import ProgressReply
from .question_request import QuestionRequest
from .readyz_response_readyz import ReadyzResponseReadyz
from .reversal import Reversal
from .rotate_request import RotateRequest
from .run_reply import RunReply
from .run_reply_groups import RunReplyGroups
from .runs_reply import RunsReply
from .same import Same
from .sample_reply import SampleReply
from .sample_request import SampleRequest
from .sample_request_filter import SampleRequestFilter
from .scope import Scope
from .search_reply import SearchReply
from .search_reply_took_ms import SearchReplyTookMs
from .search_request import SearchRequest
from .search_request_combine import SearchRequestCombine
from .search_request_filter import SearchRequestFilter
from .seed import Seed
from .seed_code import SeedCode
from .strategy_name import StrategyName
from .stratum_reply import StratumReply
from .verdict import Verdict
from .version_response_version import VersionResponseVersion
from .watch_change import WatchChange
from .watch_change_filter_type_0 import WatchChangeFilterType0
from .watch_reply import WatchReply
from .watch_reply_filter import WatchReplyFilter
from .watch_state import WatchState
from .watches_reply import WatchesReply

__all__ = (
    "Action",
    "AlertReply",
    "AlertsReply",
    "AuditEntryReply",
    "AuditEntryReplyDetail",
    "AuditReply",
    "BatchReply",
    "BatchRequest",
    "BodySearchByUpload",
    "By",
    "CaseChange",
    "CaseReply",
    "CaseSeedReply",
    "CasesReply",
    "CaseState",
    "ChangedGroupsReply",
    "DeadLetterReply",
    "DecidedImageReply",
    "DecisionReply",
    "DecisionRequest",
    "DecisionsReply",
    "DeliveriesReply",
    "DeliveryReply",
    "DeliveryReplyEvent",
    "DeliveryState",
    "EntriesReply",
    "EntryReply",
    "EstimateReply",
    "ExplainReply",
    "ExportFormat",
    "GroupReply",
    "GroupsFormat",
    "GroupsReply",
    "GroupState",
    "HistogramReply",
    "Hit",
    "HitAttributes",
    "ImageReply",
    "ImageReplyAttributes",
    "ImagesReply",
    "JudgedImage",
    "JudgementReply",
    "JudgementReplyImageType0",
    "JudgementReplySearchType0",
    "JudgementsReply",
    "JudgeRequest",
    "KeyRequest",
    "KeysReply",
    "LeftReply",
    "ListedCase",
    "ListedDecision",
    "ListedImage",
    "ListedImageAttributes",
    "ListedKey",
    "ListedKeyState",
    "LivezResponseLivez",
    "MadeKey",
    "MadeKeyState",
    "MemberReply",
    "MemberReplyAttributes",
    "NewCase",
    "NewDecision",
    "NewWatchRequest",
    "NewWatchRequestFilter",
    "NextReply",
    "NextRequest",
    "NextRequestFilter",
    "PrecisionReply",
    "ProblemDocument",
    "ProblemField",
    "ProgressReply",
    "QuestionRequest",
    "ReadyzResponseReadyz",
    "Reversal",
    "RotateRequest",
    "RunReply",
    "RunReplyGroups",
    "RunsReply",
    "Same",
    "SampleReply",
    "SampleRequest",
    "SampleRequestFilter",
    "Scope",
    "SearchReply",
    "SearchReplyTookMs",
    "SearchRequest",
    "SearchRequestCombine",
    "SearchRequestFilter",
    "Seed",
    "SeedCode",
    "StrategyName",
    "StratumReply",
    "Verdict",
    "VersionResponseVersion",
    "WatchChange",
    "WatchChangeFilterType0",
    "WatchesReply",
    "WatchReply",
    "WatchReplyFilter",
    "WatchState",
)
