// SPDX-License-Identifier: Apache-2.0
#include "identity/renewer.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "base/text.h"
#include "identity/schedule.h"
#include "pki/chain.h"
#include "pki/csr.h"

namespace nodeward::identity {
namespace {

constexpr size_t kMaxInFlight = 8;
// The wall clock may jump while the loop's timer counts on: look again at
// least this often.
constexpr absl::Duration kMaxSleep = absl::Seconds(60);
// After success the next attempt is not sooner, whatever the dates say: a CA
// with a wrong clock must not make us ask without pause.
constexpr absl::Duration kMinRenewal = absl::Seconds(1);

// The way back to the loop for answers that come on any thread. Shut, they go
// nowhere: the loop may be gone.
class Gate {
 public:
  explicit Gate(io::Loop& loop) : loop_(&loop) {}
  void Shut() {
    base::MutexLock lock(&mutex_);
    loop_ = nullptr;
  }
  void Post(std::function<void()> work) {
    base::MutexLock lock(&mutex_);
    if (loop_ != nullptr) loop_->Post(std::move(work));
  }

 private:
  base::Mutex mutex_;
  io::Loop* loop_ ABSL_GUARDED_BY(mutex_);
};

struct Entry {
  std::shared_ptr<const pki::Credential> current;  // what is in the store
  std::unique_ptr<pki::PrivateKey> asked;  // the key of the request in flight
  uint64_t attempt = 0;                    // of that request; 0: none
  int failures = 0;                        // in a row
  bool expired = false;  // there was one, and nothing has followed it
  absl::Time next_attempt = absl::InfinitePast();
  std::string serial;  // of the last one
  absl::Time not_after = absl::InfinitePast();
  absl::Time not_before = absl::InfinitePast();
  absl::Time received = absl::InfinitePast();
  std::string issuer;
  std::string error;
};

// In the words of a connection that fails for want of it.
std::string WhyNone(const Entry& entry) {
  std::string why =
      entry.not_after == absl::InfinitePast()
          ? "not issued yet"
          : base::StrCat("expired on ",
                         absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", entry.not_after,
                                          absl::UTCTimeZone()));
  if (!entry.error.empty()) base::StrAppend(&why, " (", entry.error, ")");
  return why;
}

}  // namespace

class Renewer::State : public std::enable_shared_from_this<State> {
 public:
  State(io::Loop& loop, pki::Issuer* issuer, pki::CredentialStore* store,
        Trust* trust, Options options, std::function<void()> changed)
      : gate_(std::make_shared<Gate>(loop)),
        issuer_(issuer),
        store_(store),
        trust_(trust),
        options_(std::move(options)),
        changed_(std::move(changed)),
        timer_(loop, [this] { Tick(); }),
        random_(std::random_device{}()) {}

  // The owner is going: nothing calls back from here on.
  void Shut() {
    gate_->Shut();
    timer_.Cancel();
    changed_ = nullptr;
  }
  void SetWanted(std::set<model::Identity> wanted);
  void TrustChanged();
  std::vector<CertificateStatus> status() const;
  bool complete() const;
  std::string IssuerDescription() const { return issuer_->Description(); }

 private:
  void Tick();
  void RemoveExpired(absl::Time now);
  void AskForDue(absl::Time now, bool only_missing);
  void Ask(const model::Identity& identity, Entry& entry);
  void Answered(const model::Identity& identity, uint64_t attempt,
                base::StatusOr<pki::Issued> issued);
  void Failed(const model::Identity& identity, Entry& entry,
              const base::Status& why);
  void Take(const model::Identity& identity, Entry& entry, pki::Issued issued,
            pki::PrivateKey key);
  void SetTimer(absl::Time now);
  void TellChanged();
  double Jitter() {
    return std::uniform_real_distribution<double>(-1, 1)(random_);
  }

  const std::shared_ptr<Gate> gate_;
  pki::Issuer* const issuer_;
  pki::CredentialStore* const store_;
  Trust* const trust_;
  const Options options_;
  std::function<void()> changed_;
  io::Timer timer_;
  std::mt19937_64 random_;
  std::map<model::Identity, Entry> entries_;
  std::vector<pki::Certificate> offered_;  // the roots of the newest answer
  std::set<uint64_t> in_flight_;           // attempts, wanted still or not
  uint64_t attempts_ = 0;
  uint64_t generation_ = 0;
  bool telling_ = false;
};

void Renewer::State::SetWanted(std::set<model::Identity> wanted) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    store_->Remove(it->first);
    if (it->second.current != nullptr) TellChanged();
    it = entries_.erase(it);
  }
  while (!wanted.empty()) {
    entries_.try_emplace(std::move(wanted.extract(wanted.begin()).value()));
  }
  Tick();
}

void Renewer::State::Tick() {
  const absl::Time now = options_.clock();
  RemoveExpired(now);
  // Pods that wait for their first certificate go before renewals.
  AskForDue(now, /*only_missing=*/true);
  AskForDue(now, /*only_missing=*/false);
  SetTimer(now);
}

void Renewer::State::RemoveExpired(absl::Time now) {
  for (auto& [identity, entry] : entries_) {
    if (entry.current == nullptr || now < entry.not_after) continue;
    store_->Remove(identity, WhyNone(entry));
    entry.current = nullptr;
    entry.expired = true;
    entry.next_attempt = std::min(entry.next_attempt, now + kLongestCutOff);
    TellChanged();
    base::LogError("certificate expired, connections of its pods fail",
                   {{"identity", identity.ToSpiffe()}, {"error", entry.error}});
  }
}

void Renewer::State::AskForDue(absl::Time now, bool only_missing) {
  for (auto& [identity, entry] : entries_) {
    if (in_flight_.size() >= kMaxInFlight) return;
    if (entry.attempt != 0 || now < entry.next_attempt) continue;
    if (only_missing && entry.current != nullptr) continue;
    Ask(identity, entry);
  }
}

void Renewer::State::Ask(const model::Identity& identity, Entry& entry) {
  base::StatusOr<pki::PrivateKey> key = pki::PrivateKey::GenerateP256();
  if (!key.ok()) return Failed(identity, entry, key.status());
  base::StatusOr<std::string> csr = pki::MakeCsr(*key, identity);
  if (!csr.ok()) return Failed(identity, entry, csr.status());
  entry.asked = std::make_unique<pki::PrivateKey>(*std::move(key));
  entry.attempt = ++attempts_;
  in_flight_.insert(entry.attempt);
  // The callback holds the gate, and the state only weakly: it may outlive us
  // and must not destroy a state on a thread of the issuer's.
  issuer_->Issue(
      identity, *std::move(csr),
      [gate = gate_, weak = weak_from_this(), identity,
       attempt = entry.attempt](base::StatusOr<pki::Issued> issued) {
        gate->Post([weak, identity, attempt, issued = std::move(issued)] {
          if (const std::shared_ptr<State> state = weak.lock()) {
            state->Answered(identity, attempt, issued);
          }
        });
      });
}

void Renewer::State::Answered(const model::Identity& identity, uint64_t attempt,
                              base::StatusOr<pki::Issued> issued) {
  if (in_flight_.erase(attempt) == 0) return;
  const auto it = entries_.find(identity);
  if (it != entries_.end() && it->second.attempt == attempt) {
    Entry& entry = it->second;
    entry.attempt = 0;
    const std::unique_ptr<pki::PrivateKey> key = std::move(entry.asked);
    base::Status status = issued.status();
    if (status.ok()) {
      const pki::Issued judged{issued->chain, trust_->RootsFor(issued->roots)};
      status = pki::CheckIssued(judged, identity, *key, options_.clock());
    }
    if (status.ok()) {
      Take(identity, entry, *std::move(issued), std::move(*key));
    } else {
      Failed(identity, entry, status);
    }
  }
  Tick();  // a place is free
}

void Renewer::State::Failed(const model::Identity& identity, Entry& entry,
                            const base::Status& why) {
  ++entry.failures;
  entry.error = std::string(why.message());
  if (entry.current == nullptr) store_->SetWhyNone(identity, WhyNone(entry));
  const absl::Duration wait =
      Backoff(entry.failures, Jitter(),
              entry.current == nullptr ? kLongestCutOff : kLongestBackoff);
  entry.next_attempt = options_.clock() + wait;
  base::LogWarn("certificate not issued",
                {{"identity", identity.ToSpiffe()},
                 {"issuer", issuer_->Description()},
                 {"error", entry.error},
                 {"retry_in", absl::FormatDuration(
                                  absl::Floor(wait, absl::Milliseconds(1)))}});
}

void Renewer::State::Take(const model::Identity& identity, Entry& entry,
                          pki::Issued issued, pki::PrivateKey key) {
  offered_ = issued.roots;
  trust_->Offer(offered_);
  entry.current = std::make_shared<const pki::Credential>(pki::Credential{
      identity, std::move(issued.chain), std::move(key), ++generation_});
  const pki::Certificate& leaf = entry.current->leaf();
  store_->Put(entry.current);
  entry.failures = 0;
  entry.error.clear();
  entry.expired = false;
  entry.serial = leaf.SerialHex();
  entry.not_after = leaf.not_after();
  entry.not_before = leaf.not_before();
  entry.received = options_.clock();
  entry.issuer = leaf.Issuer();
  // CAs date certificates back, for clocks that differ; that is no life.
  const absl::Time begin = std::max(leaf.not_before(), entry.received);
  entry.next_attempt = std::max(RenewalTime(begin, leaf.not_after(), Jitter()),
                                entry.received + kMinRenewal);
  TellChanged();
  base::LogInfo(
      "certificate issued",
      {{"identity", identity.ToSpiffe()},
       {"serial", entry.serial},
       {"not_after", absl::FormatTime(entry.not_after, absl::UTCTimeZone())}});
}

void Renewer::State::TrustChanged() {
  const absl::Time now = options_.clock();
  for (auto& [identity, entry] : entries_) {
    // What was refused for want of a root may be taken now.
    bool again = entry.failures > 0;
    if (entry.current != nullptr) {
      const pki::Credential& own = *entry.current;
      const pki::Issued held{own.chain, trust_->RootsFor(offered_)};
      const base::Status leads = pki::CheckIssued(held, identity, own.key, now);
      if (!leads.ok()) {
        again = true;
        base::LogWarn("certificate leads to no trusted root, asking anew",
                      {{"identity", identity.ToSpiffe()},
                       {"serial", entry.serial},
                       {"why", std::string(leads.message())}});
      }
    }
    // Not without pause, should CAs take turns in sending different roots.
    if (again) {
      entry.next_attempt = std::min(
          entry.next_attempt, std::max(now, entry.received + kMinRenewal));
    }
  }
  Tick();
}

void Renewer::State::SetTimer(absl::Time now) {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [identity, entry] : entries_) {
    if (entry.current != nullptr) next = std::min(next, entry.not_after);
    // What is due and was not asked for waits for a free place, not for time.
    if (entry.attempt == 0 && entry.next_attempt > now) {
      next = std::min(next, entry.next_attempt);
    }
  }
  if (entries_.empty()) {
    timer_.Cancel();
  } else {
    timer_.Set(std::clamp(next - now, absl::ZeroDuration(), kMaxSleep));
  }
}

// Posted, not called: the listener may come back with SetWanted, or end us.
void Renewer::State::TellChanged() {
  if (std::exchange(telling_, true)) return;
  gate_->Post([weak = weak_from_this()] {
    const std::shared_ptr<State> state = weak.lock();
    if (state == nullptr) return;
    state->telling_ = false;
    // A copy: the listener may end us, and itself with us.
    if (const auto changed = state->changed_) changed();
  });
}

std::vector<CertificateStatus> Renewer::State::status() const {
  std::vector<CertificateStatus> all;
  all.reserve(entries_.size());
  for (const auto& [identity, entry] : entries_) {
    CertificateState state = CertificateState::kPending;
    if (entry.current != nullptr) {
      state = entry.failures > 0 ? CertificateState::kRenewalFailing
                                 : CertificateState::kValid;
    } else if (entry.expired) {
      state = CertificateState::kExpired;
    }
    all.push_back({identity, state, entry.serial, entry.not_after,
                   entry.next_attempt, entry.error, entry.failures,
                   entry.not_before, entry.received, entry.issuer});
  }
  return all;
}

bool Renewer::State::complete() const {
  return std::all_of(entries_.begin(), entries_.end(), [](const auto& each) {
    return each.second.current != nullptr;
  });
}

std::string_view CertificateStateText(CertificateState state) {
  switch (state) {
    case CertificateState::kPending:
      return "pending";
    case CertificateState::kValid:
      return "valid";
    case CertificateState::kRenewalFailing:
      return "renewal failing";
    case CertificateState::kExpired:
      return "expired";
  }
  return "unknown";
}

Renewer::Renewer(io::Loop& loop, pki::Issuer* issuer,
                 pki::CredentialStore* store, Trust* trust, Options options,
                 std::function<void()> changed)
    : state_(std::make_shared<State>(loop, issuer, store, trust,
                                     std::move(options), std::move(changed))) {}

Renewer::~Renewer() { state_->Shut(); }

void Renewer::SetWanted(std::set<model::Identity> wanted) {
  state_->SetWanted(std::move(wanted));
}

void Renewer::TrustChanged() { state_->TrustChanged(); }

std::vector<CertificateStatus> Renewer::status() const {
  return state_->status();
}

bool Renewer::complete() const { return state_->complete(); }

std::string Renewer::IssuerDescription() const {
  return state_->IssuerDescription();
}

}  // namespace nodeward::identity
