//! The steps for each kind of key.
//!
//! Sources, all of AWS: IAM User Guide, "Update access keys", "Delete access keys for the root user", "Perform a privileged
//! task on an AWS Organizations member account", "Disabling permissions for temporary security credentials", "API keys for
//! AWS services"; AWS CloudTrail User Guide, "Viewing events with the AWS CLI" and "Querying AWS CloudTrail logs";
//! AWS managed policies `AWSCompromisedKeyQuarantineV2` and `V3`.

use super::facts::KeyFacts;
use super::{Purpose, Step};
use crate::text::alphabet;

/// What a key is, in words.
pub fn what(key: &KeyFacts) -> &str {
    match Kind::from_facts(key) {
        Kind::Canary => "a canary token",
        Kind::Root => "a root user's access key",
        Kind::User if key.rules.contains("aws-ses-smtp-password") => "an IAM user's access key, used for SMTP",
        Kind::User if key.user.is_some() || key.arn.is_some() => "an IAM user's access key",
        Kind::User => "a long-term access key (an IAM user's or the root user's)",
        Kind::Session => "temporary credentials",
        Kind::Bedrock => "an API key of Amazon Bedrock",
        Kind::CodeCommit => "Git credentials for CodeCommit",
        Kind::LoneSecret => "a secret access key whose id is not known",
        Kind::Other => &key.title,
    }
}

enum Kind {
    Canary,
    Root,
    User,
    Session,
    Bedrock,
    CodeCommit,
    LoneSecret,
    Other,
}

impl Kind {
    fn from_facts(key: &KeyFacts) -> Self {
        let has = |rule: &str| key.rules.contains(rule);
        match () {
            () if key.is_canary => Self::Canary,
            () if has("aws-bedrock-api-key") => Self::Bedrock,
            () if has("aws-codecommit-password") => Self::CodeCommit,
            () if has("s3-compatible-key") => Self::Other,
            () if !key.is_id() => {
                if has("aws-secret-access-key") {
                    Self::LoneSecret
                } else {
                    Self::Other
                }
            }
            () if key.is_root => Self::Root,
            () if alphabet::is_long_term(&key.name) => Self::User,
            () if key.name.starts_with("ASIA") => Self::Session,
            () => Self::Other,
        }
    }
}

/// What to do about a key, in order.
pub fn steps(key: &KeyFacts) -> Vec<Step> {
    let mut steps = match Kind::from_facts(key) {
        Kind::Canary => {
            return vec![Step::new(
                Purpose::Learn,
                "Do not use it and do not revoke it: it was planted as a tripwire. Ask whoever planted it whether it was set off.",
                &[],
            )];
        }
        Kind::Root => root(key),
        Kind::User => user(key),
        Kind::Session => session(key),
        Kind::Bedrock if key.is_short_lived => short_lived_service_key(),
        Kind::Bedrock => service_key("bedrock.amazonaws.com"),
        Kind::CodeCommit => service_key("codecommit.amazonaws.com"),
        Kind::LoneSecret => vec![Step::new(
            Purpose::Learn,
            "Find out whose it is: search for the id that belongs to it where it was found, and in the history \
             (`keyspill scan --history`). AWS cannot be asked for the owner of a secret. Then follow the plan for that id.",
            &[],
        )],
        Kind::Other if key.is_over() => vec![],
        Kind::Other => vec![Step::new(Purpose::Revoke, key.remedy.clone(), &[])],
    };
    steps.push(clean(key));
    steps
}

/// True for what may be the name of a user or role: AWS allows these characters and no others. Commands have it in quotes, for
/// those that a shell knows.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

/// The name of a user, for a command; it may be a variable that the first command sets.
struct UserName {
    shown: String,
    set: Option<String>,
}

impl UserName {
    fn from_facts(key: &KeyFacts) -> Self {
        match key.user.as_deref().filter(|name| is_name(name)) {
            Some(name) => Self { shown: format!("'{name}'"), set: None },
            None => Self {
                shown: "\"$USER_NAME\"".into(),
                set: Some(format!(
                    "USER_NAME=$(aws iam get-access-key-last-used --access-key-id {} --query UserName --output text)",
                    key.name
                )),
            },
        }
    }
}

fn user(key: &KeyFacts) -> Vec<Step> {
    let id = &key.name;
    let UserName { shown: name, set } = UserName::from_facts(key);
    let mut steps = Vec::new();
    let mut learn = Vec::from_iter(set);
    learn.push(format!("aws iam get-access-key-last-used --access-key-id {id}"));
    learn.push(format!(
        "aws iam list-attached-user-policies --user-name {name} --query \
         \"AttachedPolicies[?starts_with(PolicyName, 'AWSCompromisedKeyQuarantine')].PolicyName\""
    ));
    steps.push(Step::new(
        Purpose::Learn,
        "As an administrator of the account, not as the user itself, see whose key it is, what it was last used for, and \
         whether AWS has put the user in quarantine. The quarantine does not stop the key, and denies the user some of what \
         follows (versions 1 and 3 iam:UpdateAccessKey, versions 2 to 4 cloudtrail:LookupEvents).",
        &learn,
    ));
    if key.user.is_none() {
        steps.push(Step::new(
            Purpose::Learn,
            "If no user was named, it is the root user's: `keyspill rules explain aws-root-key` says what to do, and the rest \
             of this plan does not apply. If access was denied, it is another account's.",
            &[],
        ));
    }
    let replace = Step::new(
        Purpose::Replace,
        "If something still uses it, make a second key and put it where this one was. The answer holds the new secret: store \
         it there, and nowhere else. A user can have two keys; if it has, one of them must be deleted first.",
        &[format!("aws iam create-access-key --user-name {name}")],
    );
    let revoke = Step::new(
        Purpose::Revoke,
        "Deactivate it. It can be activated again if something important stops.",
        &[format!("aws iam update-access-key --user-name {name} --access-key-id {id} --status Inactive")],
    );
    match (key.is_over(), key.is_exposed, key.is_in_use) {
        (true, ..) => {}
        // Whoever has it does not wait.
        (false, true, Some(false)) => steps.push(revoke),
        (false, true, _) => {
            let task = "It is in others' hands: deactivate it now, even if something stops.".to_owned();
            steps.extend([Step { task, ..revoke }, replace]);
        }
        (false, false, Some(false)) => steps.push(revoke),
        (false, false, _) => steps.extend([replace, revoke]),
    }
    steps.push(Step::new(
        Purpose::Revoke,
        "End the sessions that the user made with it (GetSessionToken, GetFederationToken); they go on for up to 36 hours, even \
         if the key was deactivated. Remove the policy after that: `aws iam delete-user-policy` with the same user and policy.",
        &[end_user_sessions(&name)],
    ));
    steps.push(investigate(id));
    steps.push(Step::new(
        Purpose::Revoke,
        "If its events show AssumeRole, these roles' sessions go on, too. End them for each: ROLE_NAME='…'. What uses a role gets \
         new credentials by itself.",
        &[end_role_sessions("\"$ROLE_NAME\"")],
    ));
    if key.rules.contains("aws-ses-smtp-password") {
        steps.push(Step::new(
            Purpose::Investigate,
            "See how much mail was sent with it.",
            &["aws ses get-send-statistics".into()],
        ));
    }
    steps.push(Step::new(
        Purpose::Revoke,
        "When nothing needs it any more, delete it. That cannot be undone.",
        &[format!("aws iam delete-access-key --user-name {name} --access-key-id {id}")],
    ));
    steps
}

/// A policy, in double quotes for a shell, that denies everything to sessions that began before now.
fn end_sessions() -> &'static str {
    r#""{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"aws:TokenIssueTime\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}}}]}""#
}

fn end_user_sessions(name: &str) -> String {
    format!(
        "aws iam put-user-policy --user-name {name} --policy-name keyspill-end-sessions --policy-document {}",
        end_sessions()
    )
}

fn end_role_sessions(name: &str) -> String {
    format!(
        "aws iam put-role-policy --role-name {name} --policy-name AWSRevokeOlderSessions --policy-document {}",
        end_sessions()
    )
}

fn root(key: &KeyFacts) -> Vec<Step> {
    let id = &key.name;
    let is_number = |account: &&str| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let account = key.account.as_deref().filter(is_number).unwrap_or("ACCOUNT");
    let report = "aws iam get-credential-report --query Content --output text | base64 --decode";
    let mut steps = vec![Step::new(
        Purpose::Learn,
        "Note when and for what it was last used, in the row <root_account> of the credential report: once the key is deleted, \
         that is gone. The report takes a moment to be made.",
        &["aws iam generate-credential-report".into(), report.into()],
    )];
    if key.is_over() {
        steps.push(Step::new(
            Purpose::Revoke,
            format!(
                "If it is only deactivated, delete it: sign in to the console as the root user, open \"Security credentials\" \
                 in the account menu, and look for {id} under \"Access keys\"."
            ),
            &[],
        ));
    } else {
        steps.push(Step::new(
            Purpose::Revoke,
            "If the account is a member of an organisation with central root access, delete the key from the management \
             account; nobody has to sign in as the root user.",
            &[
                format!(
                    "ROOT=$(aws sts assume-root --target-principal {account} --task-policy-arn \
                     arn=arn:aws:iam::aws:policy/root-task/IAMDeleteRootUserCredentials --query \
                     'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)"
                ),
                format!(
                    "(read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN <<< \"$ROOT\"; export \
                     AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; aws iam delete-access-key \
                     --access-key-id {id})"
                ),
            ],
        ));
        steps.push(Step::new(
            Purpose::Revoke,
            format!(
                "Otherwise sign in to the console as the root user, open \"Security credentials\" in the account menu, and \
                 under \"Access keys\" deactivate {id}, then delete it."
            ),
            &[],
        ));
    }
    steps.push(Step::new(
        Purpose::Revoke,
        "Change the root user's password, make sure that it has MFA, and that its mail address and telephone number are \
         yours. Whoever had the key could change all of them.",
        &[],
    ));
    steps.push(investigate(id));
    steps.push(Step::new(
        Purpose::Investigate,
        "Look for what was left behind: users, keys, roles and their trust, in every account that trusts this one.",
        &["aws iam get-account-authorization-details".into()],
    ));
    steps
}

/// Whose a session is, by its ARN.
enum SessionOf<'a> {
    Role(&'a str),
    /// A role that only IAM Identity Center, or a service, may change.
    ProtectedRole,
    User(&'a str),
    Federated,
    Nobody,
}

impl<'a> SessionOf<'a> {
    fn from_facts(key: &'a KeyFacts) -> Self {
        let Some(arn) = key.arn.as_deref() else { return Self::Nobody };
        let after = |mark: &str| arn.split_once(mark).map(|(_, after)| after);
        let role = after(":assumed-role/").and_then(|after| after.split('/').next()).filter(|name| is_name(name));
        let user = after(":user/").and_then(|after| after.rsplit('/').next()).filter(|name| is_name(name));
        match (role, user) {
            (Some(role), _) if role.starts_with("AWSReservedSSO_") || role.starts_with("AWSServiceRoleFor") => {
                Self::ProtectedRole
            }
            (Some(role), _) => Self::Role(role),
            (None, Some(user)) => Self::User(user),
            (None, None) if arn.contains(":federated-user/") => Self::Federated,
            (None, None) => Self::Nobody,
        }
    }
}

fn session(key: &KeyFacts) -> Vec<Step> {
    let id = &key.name;
    let mut steps = Vec::new();
    const END: &str = "End the role's sessions that began before now. What uses the role has to get new credentials, which it \
                       does by itself. Waiting is no remedy: a session may last up to 36 hours.";
    match SessionOf::from_facts(key) {
        _ if key.is_over() => {}
        SessionOf::Role(role) => steps.push(Step::new(Purpose::Revoke, END, &[end_role_sessions(&format!("'{role}'"))])),
        SessionOf::User(user) => steps.push(Step::new(
            Purpose::Revoke,
            "End the user's sessions that began before now, and look for the key that they were made with.",
            &[end_user_sessions(&format!("'{user}'"))],
        )),
        SessionOf::ProtectedRole => steps.push(Step::new(
            Purpose::Revoke,
            "End the sessions in IAM Identity Center: the user's \"Active sessions\", and in the permission set a policy that \
             denies requests with an older aws:TokenIssueTime. The role itself cannot be changed.",
            &[],
        )),
        SessionOf::Federated => steps.push(Step::new(
            Purpose::Revoke,
            "Find the user that made the session (GetFederationToken) in CloudTrail, and end the sessions of that user: \
             USER_NAME='…'.",
            &[end_user_sessions("\"$USER_NAME\"")],
        )),
        SessionOf::Nobody => {
            steps.push(Step::new(
                Purpose::Learn,
                "Find the role in the events of the session, below `sessionIssuer`: ROLE_NAME='…'. If there is none, the \
                 session is a user's: then add the policy of the next step to the user, with `aws iam put-user-policy`.",
                &[every_region(&format!(
                    "aws cloudtrail lookup-events --region $region --max-results 1 --lookup-attributes \
                     AttributeKey=AccessKeyId,AttributeValue={id} --query 'Events[].CloudTrailEvent' --output text"
                ))],
            ));
            steps.push(Step::new(Purpose::Revoke, END, &[end_role_sessions("\"$ROLE_NAME\"")]));
        }
    }
    steps.push(investigate(id));
    steps
}

fn short_lived_service_key() -> Vec<Step> {
    vec![Step::new(
        Purpose::Revoke,
        "It ends by itself, at most 12 hours after it was made. Until then, end the sessions of the role that it was made \
         with: ROLE_NAME='…'. Then look at the usage and cost of the service.",
        &[end_role_sessions("\"$ROLE_NAME\"")],
    )]
}

fn service_key(service: &str) -> Vec<Step> {
    let list = format!("aws iam list-service-specific-credentials --all-users --service-name {service}");
    vec![
        Step::new(
            Purpose::Learn,
            "Find its number and its user: USER_NAME='…' CREDENTIAL_ID='ACCA…'.",
            &[list],
        ),
        Step::new(
            Purpose::Revoke,
            "Deactivate it.",
            &["aws iam update-service-specific-credential --user-name \"$USER_NAME\" --service-specific-credential-id \
               \"$CREDENTIAL_ID\" --status Inactive"
                .into()],
        ),
        Step::new(
            Purpose::Investigate,
            format!("See what {service} did for this user, in CloudTrail and on the bill."),
            &[every_region(
                "aws cloudtrail lookup-events --region $region --lookup-attributes \
                 AttributeKey=Username,AttributeValue=\"$USER_NAME\"",
            )],
        ),
        Step::new(
            Purpose::Revoke,
            "Delete it.",
            &["aws iam delete-service-specific-credential --user-name \"$USER_NAME\" --service-specific-credential-id \
               \"$CREDENTIAL_ID\""
                .into()],
        ),
    ]
}

fn every_region(command: &str) -> String {
    format!(
        "for region in $(aws ec2 describe-regions --query 'Regions[].RegionName' --output text); do {command}; done"
    )
}

fn investigate(id: &str) -> Step {
    let guard_duty = format!(
        "for detector in $(aws guardduty list-detectors --region $region --query DetectorIds --output text); do for finding in \
         $(aws guardduty list-findings --region $region --detector-id $detector --finding-criteria \
         '{{\"Criterion\":{{\"resource.accessKeyDetails.accessKeyId\":{{\"Eq\":[\"{id}\"]}}}}}}' --query FindingIds --output text); \
         do aws guardduty get-findings --region $region --detector-id $detector --finding-ids $finding; done; done"
    );
    Step::new(
        Purpose::Investigate,
        "See what was done with it: in CloudTrail, which keeps 90 days in each region; for longer, with Athena in the logs of a \
         trail, if you have a table of them (here `cloudtrail_logs`; the query takes a moment); and what GuardDuty says. Look for \
         addresses that you do not know, new users, keys and roles, and regions that you do not use.",
        &[
            every_region(&format!(
                "aws cloudtrail lookup-events --region $region --lookup-attributes \
                 AttributeKey=AccessKeyId,AttributeValue={id}"
            )),
            format!(
                "QUERY=$(aws athena start-query-execution --work-group primary --query-string \"SELECT eventtime, awsregion, \
                 eventsource, eventname, sourceipaddress, useragent, errorcode FROM cloudtrail_logs WHERE \
                 useridentity.accesskeyid = '{id}' ORDER BY eventtime\" --query QueryExecutionId --output text)"
            ),
            "aws athena get-query-results --query-execution-id \"$QUERY\" --output text".into(),
            every_region(&guard_duty),
        ],
    )
}

/// Last and optional.
fn clean(key: &KeyFacts) -> Step {
    let place = if key.is_in_history {
        "Remove it from the files, and if you want to, from the history with git-filter-repo; then everyone clones again, and \
         the code host is asked to drop its caches."
    } else {
        "Remove it where it was found."
    };
    Step::new(
        Purpose::Clean,
        format!("{place} This does not undo the leak: copies remain. It only keeps it from being found again."),
        &[],
    )
}
