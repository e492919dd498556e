// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace nodeward::kube {

// Where a pod finds the API server: "https://10.96.0.1:443" by its environment;
// empty outside of a pod.
std::string ServerOfEnvironment();

inline constexpr char kPodCa[] =
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
inline constexpr char kPodToken[] =
    "/var/run/secrets/kubernetes.io/serviceaccount/token";

}  // namespace nodeward::kube
