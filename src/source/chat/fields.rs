//! The field names of the services' exports.

use serde_json::{Map, Value};

/// Who wrote a message.
pub(super) const AUTHORS: [&str; 26] = [
    "u",
    "sender_name",
    "senderName",
    "sender_full_name",
    "personEmail",
    "memberCreator",
    "sys_created_by",
    "from_email",
    "sender_email",
    "posted_by",
    "from",
    "author",
    "user",
    "sender",
    "creator",
    "createdBy",
    "reporter",
    "submitter",
    "created_by",
    "username",
    "user_profile",
    "requester",
    "author_id",
    "author-id",
    "userId",
    "user_id",
];
/// To whom it went.
pub(super) const RECIPIENTS: [&str; 3] = ["to", "to_emails", "toPersonEmail"];
/// Who else takes part in a conversation.
pub(super) const PARTICIPANTS: [&str; 23] = [
    "recipients",
    "participants",
    "members",
    "assignee",
    "reporter",
    "requester",
    "submitter",
    "caller_id",
    "caller_id.email",
    "opened_by",
    "assigned_to",
    "watch_list",
    "watchers",
    "cc",
    "cc_emails",
    "requester_id",
    "requester-id",
    "submitter_id",
    "assignee_id",
    "collaborator_ids",
    "follower_ids",
    "email_cc_ids",
    "cc_ids",
];
/// The messages of a conversation.
pub(super) const MESSAGES: [&str; 11] = [
    "messages",
    "comments",
    "comment",
    "conversations",
    "chunk",
    "state",
    "replies",
    "notes",
    "value",
    "MessageList",
    "helpdesk_notes",
];
/// People by id.
pub(super) const DIRECTORIES: [&str; 8] =
    ["users", "members", "requester", "assignee", "submitter", "collaborator", "collaborators", "people"];
/// Where a message was posted, by name.
pub(super) const CHANNELS: [&str; 11] = [
    "display_recipient",
    "stream",
    "room_name",
    "board",
    "channel",
    "channel_name",
    "room",
    "conversation",
    "project",
    "space",
    "guild",
];
/// The name of a conversation, beside its messages.
pub(super) const NAMES_OF_CONVERSATIONS: [&str; 4] = ["name", "title", "topic", "displayName"];
/// Where a message was posted, by id.
pub(super) const CONVERSATION_IDS: [&str; 4] = ["channelIdentity", "chatId", "roomId", "rid"];
pub(super) const TIMES: [&str; 26] = [
    "originalarrivaltime",
    "Timestamp",
    "create_at",
    "created_date",
    "origin_server_ts",
    "timestamp_ms",
    "date_sent",
    "sentDateTime",
    "sys_created_on",
    "created_on",
    "date_created",
    "dateCreated",
    "ts",
    "timestamp",
    "created",
    "created_at",
    "created-at",
    "createdAt",
    "createdDateTime",
    "createdDate",
    "date",
    "sent",
    "sent_at",
    "time",
    "pubDate",
    "when",
];
pub(super) const TITLES: [&str; 5] = ["subject", "summary", "title", "topic", "short_description"];
pub(super) const TEXTS: [&str; 28] = [
    "Contents",
    "msg",
    "raw",
    "note",
    "notes",
    "body_text",
    "bodyPreview",
    "description_text",
    "formatted_body",
    "text",
    "body",
    "content",
    "message",
    "comment",
    "comments",
    "comments_and_work_notes",
    "work_notes",
    "description",
    "plain_body",
    "html_body",
    "value",
    "blocks",
    "attachments",
    "fields",
    "summary",
    "subject",
    "embeds",
    "renderedBody",
];
/// Fields that only tickets and pages have.
pub(super) const OF_TICKETS: [&str; 13] = [
    "short_description",
    "issuetype",
    "ticket_id",
    "status",
    "priority",
    "reporter",
    "submitter",
    "resolution",
    "requester",
    "requester_id",
    "requester-id",
    "space",
    "container",
];
pub(super) const NAMES: [&str; 11] = [
    "display_value",
    "fullName",
    "full_name",
    "displayName",
    "display_name",
    "real_name",
    "name",
    "nickname",
    "username",
    "login",
    "global_name",
];
pub(super) const ADDRESSES: [&str; 5] = ["emailAddress", "email", "mail", "userPrincipalName", "address"];

/// The first of these fields that has a value.
pub(super) fn first<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| object.get(*name)).find(|value| !value.is_null() && value.as_str() != Some(""))
}
