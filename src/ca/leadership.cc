// SPDX-License-Identifier: Apache-2.0
#include "ca/leadership.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "base/text.h"

namespace nodeward::ca {

base::StatusOr<std::unique_ptr<Leadership>> Leadership::Start(io::Loop& loop,
                                                              Options options) {
  NODEWARD_ASSIGN(auto client, kube::HttpClient::Create(loop, options.api));
  std::unique_ptr<Leadership> leadership(
      new Leadership(loop, std::move(options), std::move(client)));
  if (leadership->leader_ == nullptr) {
    leadership->OnLead(true);
  } else {
    leadership->leader_->Start();
  }
  return leadership;
}

Leadership::Leadership(io::Loop& loop, Options options,
                       std::unique_ptr<kube::HttpClient> client)
    : loop_(loop), options_(std::move(options)), client_(std::move(client)) {
  if (options_.events_on.has_value()) {
    events_ = std::make_unique<EventWriter>(
        loop_, client_.get(),
        EventWriter::Options{.deployment = *options_.events_on,
                             .instance = options_.instance},
        [this] { return Random(); });
  }
  if (!options_.lease.has_value()) return;
  // A pod that is restarted keeps its name, but is another candidate.
  const std::string identity =
      base::StrCat(options_.instance, "_", absl::StrFormat("%016x", random_()));
  leader_ = std::make_unique<kube::Leader>(
      loop_, client_.get(),
      kube::Election::Options{.place = options_.lease->ToString(),
                              .identity = identity,
                              .labels = {{kManagedBy, kManager}}},
      [this] { return Random(); }, [this](bool leads) { OnLead(leads); });
}

void Leadership::OnLead(bool leads) {
  leads_ = leads;
  if (events_ != nullptr) events_->SetLeads(leads);
  if (!options_.publish.has_value()) return;
  if (!leads) {
    bundles_.reset();
    return;
  }
  bundles_ = std::make_unique<RootBundles>(
      loop_, client_.get(), *options_.publish, [this] { return Random(); });
  bundles_->Set(roots_);
}

void Leadership::SetRoots(const std::string& roots_pem) {
  roots_ = roots_pem;
  if (bundles_ != nullptr) bundles_->Set(roots_);
}

void Leadership::Tell(const Event& event) {
  if (events_ != nullptr) events_->Tell(event);
}

void Leadership::Resign(std::function<void()> done) {
  if (leader_ == nullptr) return done();
  leader_->Resign(std::move(done));
}

}  // namespace nodeward::ca
