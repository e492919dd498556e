// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/json.h"
#include "base/status.h"
#include "model/snapshot.h"
#include "policy/question.h"

namespace nodeward::policy {

// What the mesh would say to `question`, and why:
//
//   {"verdict":"DENY","layer":"authz","policy":"ns/name","rule":0,
//    "mtls":"STRICT","ignored":[{"policy","kind","reason"}],
//    "mtlsPolicy":"ns/name","reason","to":"ns/pod","port":80,"notes":[…]}
//
// `policy`, `rule` and `mtlsPolicy` are null when there is none. `ignored`:
// policies that lie in the destination's scope and do not count, in whole or in
// part, with why. Of a service all ready endpoints must be allowed; the first
// that is not answers. An error: there is no such destination.
base::StatusOr<base::Json> AnswerQuestion(const model::Snapshot& snapshot,
                                          const Question& question);

}  // namespace nodeward::policy
