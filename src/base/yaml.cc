// SPDX-License-Identifier: Apache-2.0
//
// yaml-cpp's events, not its nodes: those keep duplicate keys, share what an
// alias repeats without a bound and lose the style of scalars. Its parser
// throws; everything is caught here.
#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <optional>
#include <sstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/json_tree.h"
#include "base/text.h"
#include "base/tree_builder.h"
#include "base/utf8.h"
#include "base/yaml_scalar.h"

namespace nodeward::base {
namespace {

// What all aliases of a stream may repeat in all: no honest manifest comes
// near, ten lines of nested aliases pass it.
constexpr size_t kMaxRepeatedNodes = 200000;

Status ErrorAt(int line, int column, std::string_view reason) {
  return absl::InvalidArgumentError(
      StrCat("line ", line, ", column ", column, ": ", reason));
}

// Receives yaml-cpp's events. Leaves by throwing YAML::Exception, which is the
// only way to stop that parser.
class Reader : public YAML::EventHandler {
 public:
  Reader(std::string_view text, const std::function<void(YamlDocument)>& each)
      : text_(text), each_(each) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // Where a document cannot go on, yaml-cpp begins another one instead of
    // reporting an error, in some cases for ever without moving.
    if (seen_document_ && !StartsDocument(mark)) {
      Stop(mark, "expected the end of the document, or '---'");
    }
    seen_document_ = true;
    tree_.emplace(mark.line + 1);
    anchors_.clear();
    open_.clear();
  }

  void OnDocumentEnd() override {
    YamlDocument document = std::move(*tree_).Take();
    tree_.reset();
    if (!document.value.is_null()) each_(std::move(document));
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (tree_->AwaitsKey()) Stop(mark, "a key must not be null");
    Check(mark, tree_->Value(Json(), Line(mark)));
    Remember(mark, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (tree_->AwaitsKey()) Stop(mark, "a key must not be an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      Stop(mark, "alias inside the value that it stands for");
    }
    Spend(mark, found->second.nodes);
    Check(mark, tree_->Graft(found->second, Line(mark)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& text) override {
    if (tree_->AwaitsKey()) {
      if (anchor != 0) Stop(mark, "a key must not have an anchor");
      Check(mark, tree_->Key(text, Line(mark)));
      return;
    }
    Check(mark, tree_->Value(Resolve(mark, tag, text), Line(mark)));
    Remember(mark, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, "tag:yaml.org,2002:seq", anchor);
    Check(mark, tree_->StartSequence(Line(mark)));
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(mark, tag, "tag:yaml.org,2002:map", anchor);
    Check(mark, tree_->StartMap(Line(mark)));
  }

  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenContainer {
    YAML::Mark mark;
    YAML::anchor_t anchor;
  };

  static int Line(const YAML::Mark& mark) { return mark.line + 1; }

  // Documents begin in ascending order, so the text is walked once.
  bool StartsDocument(const YAML::Mark& mark) {
    while (line_ < mark.line) {
      const size_t end = text_.find('\n', line_start_);
      if (end == std::string_view::npos) return false;
      line_start_ = end + 1;
      ++line_;
    }
    return mark.column == 0 && StartsYamlDocument(text_.substr(line_start_));
  }

  [[noreturn]] static void Stop(const YAML::Mark& mark,
                                const std::string& reason) {
    throw YAML::ParserException(mark, reason);
  }

  static void Check(const YAML::Mark& mark, const Status& status) {
    if (!status.ok()) Stop(mark, std::string(status.message()));
  }

  void Open(const YAML::Mark& mark, const std::string& tag,
            std::string_view core_tag, YAML::anchor_t anchor) {
    if (tree_->AwaitsKey()) Stop(mark, "a key must be a scalar");
    if (!tag.empty() && tag != "?" && tag != "!" && tag != core_tag) {
      Stop(mark, "tag " + tag + " is not supported");
    }
    open_.push_back({mark, anchor});
  }

  void Close() {
    const OpenContainer container = open_.back();
    open_.pop_back();
    Check(container.mark, tree_->End());
    Remember(container.mark, container.anchor);
  }

  void Remember(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == 0) return;
    Spend(mark, tree_->last_nodes());
    anchors_[anchor] = tree_->Last();
  }

  void Spend(const YAML::Mark& mark, size_t nodes) {
    if (nodes > kMaxRepeatedNodes - repeated_) {
      Stop(mark, "anchors and aliases repeat more than 200000 values");
    }
    repeated_ += nodes;
  }

  static Json Resolve(const YAML::Mark& mark, const std::string& tag,
                      const std::string& text) {
    if (tag == "?" || tag.empty()) return ResolvePlainScalar(text);
    if (tag == "!") return Json(text);
    constexpr std::string_view kCore = "tag:yaml.org,2002:";
    const std::string_view kind =
        tag.starts_with(kCore) ? std::string_view(tag).substr(kCore.size())
                               : std::string_view();
    if (kind == "str") return Json(text);
    Json value = ResolvePlainScalar(text);
    if ((kind == "null" && value.is_null()) ||
        (kind == "bool" && value.is_boolean()) ||
        (kind == "int" && value.is_number_integer()) ||
        (kind == "float" && value.is_number())) {
      return value;
    }
    Stop(mark, "tag " + tag + " is not supported here");
  }

  std::string_view text_;
  int line_ = 0;  // from 0
  size_t line_start_ = 0;
  bool seen_document_ = false;
  std::optional<TreeBuilder> tree_;
  std::vector<OpenContainer> open_;
  absl::flat_hash_map<YAML::anchor_t, TreeBuilder::Subtree> anchors_;
  size_t repeated_ = 0;
  const std::function<void(YamlDocument)>& each_;
};

Status ReadYaml(std::string_view text,
                const std::function<void(YamlDocument)>& each) {
  // With the mark of a document's end yaml-cpp notices a quotation that never
  // ends; at the mere end of the text it does not.
  std::string marked(text);
  if (!marked.ends_with('\n')) marked += '\n';
  marked += "...\n";
  Reader reader(marked, each);
  try {
    std::istringstream stream(marked);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(reader)) {
    }
  } catch (const YAML::Exception& error) {
    return ErrorAt(error.mark.line + 1, error.mark.column + 1, error.msg);
  } catch (const std::exception& error) {
    return absl::InternalError(StrCat("line 1, column 1: ", error.what()));
  }
  return OkStatus();
}

}  // namespace

int YamlDocument::LineOf(std::string_view pointer) const {
  std::string at(pointer);
  while (true) {
    const auto found = lines.find(at);
    if (found != lines.end()) return found->second;
    const size_t slash = at.rfind('/');
    if (slash == std::string::npos) return line;
    at.resize(slash);
  }
}

bool StartsYamlDocument(std::string_view text) {
  return text.starts_with("---") &&
         (text.size() == 3 || text[3] == ' ' || text[3] == '\t' ||
          text[3] == '\r' || text[3] == '\n');
}

StatusOr<std::vector<YamlDocument>> ParseYaml(std::string_view text) {
  std::vector<YamlDocument> documents;
  const Status status = ParseYaml(text, [&](YamlDocument document) {
    documents.push_back(std::move(document));
  });
  if (!status.ok()) return status;
  return documents;
}

Status ParseYaml(std::string_view text,
                 const std::function<void(YamlDocument)>& each) {
  // yaml-cpp takes 0x04 for the end of the text and passes any byte on.
  if (const auto flaw = FindBadCharacter(text)) {
    return ErrorAt(flaw->line, flaw->column, flaw->reason);
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    // Nearly all JSON is YAML too, but not its escapes and tabs.
    if (auto document = ParseJsonTree(text); document.ok()) {
      each(*std::move(document));
      return OkStatus();
    }
  }
  return ReadYaml(text, each);
}

}  // namespace nodeward::base
