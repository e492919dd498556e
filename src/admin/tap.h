// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "admin/control.h"
#include "base/json.h"
#include "base/status.h"
#include "model/snapshot.h"
#include "observe/tap.h"

namespace nodeward::admin {

// The streaming command `tap`. Arguments, all of them may be absent: resource
// and to ("deploy/web", "pod/web-1", "svc/web", "ns/emojivoto", "web"),
// namespace, to_namespace, method, path, authority, max_rps. What they name
// must be in the snapshot, and pods of `resource` on `node`; an error says what
// there is instead.
base::StatusOr<observe::TapQuestion> ReadTapQuestion(
    const base::Json& args, const model::Snapshot& snapshot,
    const std::string& node);

// Starts a tap, which ends with what is returned. `taps` outlives it. A line is
// an event, or the last one:
//   {"event":"req","base":0,"stream":1,"proxy":"out","src":…,"dst":…,
//    "tls":"true",…,"method":"GET","authority":…,"path":…}
//   {"event":"rsp",…,"status":200,"latency_us":2731}
//   {"event":"end",…,"duration_us":…,"response_length":…,"grpc_status":0,
//    "reset_error":…}
//   {"event":"open",…}   {"event":"close",…,"duration_us":…,"sent":…,
//    "received":…,"outcome":…}
//   {"last":true,"lost":0,"over_limit":0}
// What peers chose has \xNN in the place of all that is no visible ASCII.
base::StatusOr<std::unique_ptr<LineSource>> StartTap(
    observe::TapQuestion question, observe::Taps* taps);

}  // namespace nodeward::admin
