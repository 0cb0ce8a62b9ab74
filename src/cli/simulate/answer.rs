//! What is answered to a line, and its form as JSON.

use std::fmt::Display;
use std::io::{self, Write};

use portcullis::policy::{
    AttachedPolicy, Decided, Decision, Explanation, Missed, StatementExplanation, decide, explain,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::line::{Expected, Question};

/// The answer to a question.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) question: &'a Question<'a>,
    pub(super) decided: Decided,
    /// Where an explanation was asked for.
    pub(super) statements: Option<Vec<StatementExplanation<'a>>>,
    pub(super) expected: Option<Expected>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(id: Option<&'a RawValue>, question: &'a Question<'a>, with: With) -> Self {
        let (request, policies) = (question.request(), question.policies());
        let (decided, statements) = if with.explanation {
            let Explanation { decided, statements } = explain(&request, &policies);
            (decided, Some(statements))
        } else {
            (decide(&request, &policies), None)
        };
        Self { id, question, decided, statements, expected: question.expected.or(with.expected) }
    }

    /// Whether it is what was expected, where something was.
    pub(super) fn is_as_expected(&self) -> Option<bool> {
        self.expected.map(|expected| expected.is_met_by(self.decided.decision()))
    }
}

/// What the command line asks of every answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct With {
    pub(super) explanation: bool,
    pub(super) expected: Option<Expected>,
}

/// Writes the answer as a line of JSON.
pub(super) fn write_json(answer: &Answer<'_>, out: &mut impl Write) -> io::Result<()> {
    let policies = answer.question.policies();
    let deciders =
        answer.decided.by().map(|by| JsonDecider { policy: by.policy, statement: by.statement, sid: policies.sid(by) });
    let statements = answer.statements.as_ref();
    let json = JsonAnswer {
        id: answer.id,
        decision: answer.decided.decision(),
        decided_by: deciders.collect(),
        statements: statements.map(|all| all.iter().map(|one| json_statement(one, answer.question)).collect()),
    };
    serde_json::to_writer(&mut *out, &json)?;
    out.write_all(b"\n")
}

fn json_statement<'a>(statement: &StatementExplanation<'a>, question: &'a Question<'a>) -> JsonStatement<'a> {
    JsonStatement {
        policy: statement.policy,
        statement: statement.statement,
        sid: statement.sid,
        effect: if statement.denies { "Deny" } else { "Allow" },
        missed: statement.missed.map(|missed| JsonMissed {
            element: missed.element(),
            test: match missed {
                Missed::Condition(test) => Some(JsonTest {
                    operator: test.operator(),
                    key: test.key(),
                    wanted: test.wanted().collect(),
                    found: test.found(&question.request()).collect(),
                }),
                Missed::Principal
                | Missed::NotPrincipal
                | Missed::Action
                | Missed::NotAction
                | Missed::Resource
                | Missed::NotResource => None,
            },
        }),
    }
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    id: Option<&'a RawValue>,
    #[serde(serialize_with = "displayed")]
    decision: Decision,
    decided_by: Vec<JsonDecider<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<Vec<JsonStatement<'a>>>,
}

#[derive(Serialize)]
struct JsonDecider<'a> {
    #[serde(serialize_with = "displayed")]
    policy: AttachedPolicy,
    statement: usize,
    sid: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonStatement<'a> {
    #[serde(serialize_with = "displayed")]
    policy: AttachedPolicy,
    statement: usize,
    sid: Option<&'a str>,
    effect: &'static str,
    missed: Option<JsonMissed<'a>>,
}

#[derive(Serialize)]
struct JsonMissed<'a> {
    element: &'static str,
    #[serde(flatten)]
    test: Option<JsonTest<'a>>,
}

#[derive(Serialize)]
struct JsonTest<'a> {
    operator: &'a str,
    key: &'a str,
    wanted: Vec<&'a str>,
    found: Vec<&'a str>,
}

fn displayed<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
