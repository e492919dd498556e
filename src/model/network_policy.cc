// SPDX-License-Identifier: Apache-2.0
#include "model/network_policy.h"

#include <algorithm>

namespace nodeward::model {

bool LabelSelector::Requirement::Holds(const Labels& of) const {
  const auto found = of.find(key);
  const bool has = found != of.end();
  const bool listed = has && std::find(values.begin(), values.end(),
                                       found->second) != values.end();
  switch (op) {
    case Operator::kIn:
      return listed;
    case Operator::kNotIn:
      return !listed;
    case Operator::kExists:
      return has;
    case Operator::kDoesNotExist:
      return !has;
  }
  return false;
}

bool LabelSelector::Selects(const Labels& of) const {
  return model::Selects(labels, of) &&
         std::all_of(requirements.begin(), requirements.end(),
                     [&](const Requirement& each) { return each.Holds(of); });
}

}  // namespace nodeward::model
