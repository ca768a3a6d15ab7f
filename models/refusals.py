"""Every reason for which a mutation is refused, with its texts: the codes of `UserError.code`.

A text may hold blanks (`{limit}`), filled from `Refused.params`.
"""

from collections import defaultdict

from kit.errors import Refused
from models.base import Labelled


class Refusal(Labelled):
    """Why a mutation was refused (拒绝原因)."""

    # what any mutation may answer
    INVALID_VALUE = "INVALID_VALUE", "填写内容不符合要求：{zh}", "The value is not valid: {en}"
    REQUIRED = "REQUIRED", "此项必填", "This field is required"
    NOT_FOUND = "NOT_FOUND", "未找到该内容，或您无权查看", "It does not exist, or is not visible to you"
    NOT_YOURS = (
        "NOT_YOURS",
        "您只能处理本部门、本区或本店铺的内容",
        "You may only work on what belongs to your department, district or store",
    )
    ALREADY_EXISTS = "ALREADY_EXISTS", "已存在相同的记录", "The same record already exists"
    STILL_IN_USE = "STILL_IN_USE", "仍有其他内容引用它", "Something else still refers to it"
    UNKNOWN_CODE = "UNKNOWN_CODE", "未知代码：{code}", "Unknown code: {code}"
    CHANGED_MEANWHILE = (
        "CHANGED_MEANWHILE",
        "内容已被他人修改，请刷新后重试",
        "It was changed by someone else meanwhile; reload and try again",
    )
    DEVELOPMENT_ONLY = "DEVELOPMENT_ONLY", "仅在开发环境可用", "Only available in development"
    # signing in
    WRONG_CREDENTIALS = "WRONG_CREDENTIALS", "用户名或密码错误", "Wrong username or password"
    TOO_MANY_ATTEMPTS = (
        "TOO_MANY_ATTEMPTS",
        "失败次数过多，请在 {minutes} 分钟后重试",
        "Too many failures; try again in {minutes} minutes",
    )
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED", "账号已停用", "The account is disabled"
    SESSION_ENDED = "SESSION_ENDED", "登录已失效，请重新登录", "The session has ended; sign in again"
    # publishing
    NOT_A_DRAFT = (
        "NOT_A_DRAFT",
        "该版本不是草稿，不能修改或提交",
        "This revision is not a draft and cannot be changed or submitted",
    )
    NOT_PENDING = (
        "NOT_PENDING",
        "该版本已由他人审核或已撤回",
        "This revision was already decided by someone else or withdrawn",
    )
    OWN_REVISION = "OWN_REVISION", "不能审核自己提交的内容", "You cannot review what you submitted yourself"
    REASON_REQUIRED = "REASON_REQUIRED", "请填写理由", "A reason is required"
    OPEN_REVISION = "OPEN_REVISION", "该内容已有未完成的版本", "There is already an open revision of this item"
    NOT_PUBLISHED = "NOT_PUBLISHED", "该内容未在发布状态", "The item is not published"
    NOT_OFFLINE = "NOT_OFFLINE", "该内容未下线", "The item is not offline"
    NOTHING_CHANGED = "NOTHING_CHANGED", "与已发布内容相比没有修改", "Nothing differs from what is published"
    FIXED_FIELD = "FIXED_FIELD", "此项发布后不能修改", "This field cannot change after publication"
    SENSITIVE_WORDS = (
        "SENSITIVE_WORDS",
        "包含不允许发布的词语：{words}",
        "It contains words that may not be published: {words}",
    )
    WORDS_NEED_CONFIRMATION = (
        "WORDS_NEED_CONFIRMATION",
        "包含需确认的词语：{words}，请确认后提交",
        "It contains words to be confirmed: {words}; confirm them and submit again",
    )
    # imported files
    BAD_FILE = "BAD_FILE", "文件无法读取：{zh}", "The file cannot be read: {en}"
    FILE_TOO_LARGE = "FILE_TOO_LARGE", "文件不能超过 {megabytes} MB", "Files may not exceed {megabytes} MB"
    # long acts
    JOB_ENDED = "JOB_ENDED", "任务已结束", "The job has ended"
    # stores
    COLUMN_NOT_OFFERED = "COLUMN_NOT_OFFERED", "该类店铺没有此栏目", "This kind of store has no such column"


def texts_of(refused: Refused) -> tuple[str, str]:
    """What one refusal says in Chinese and in English; a blank that has no value stays empty."""
    code, blanks = Refusal[refused.code.name], defaultdict(str, refused.params)
    return code.zh.format_map(blanks), code.en.format_map(blanks)
