#include "command/verify_compare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "command/dealt.h"
#include "command/saved_manifest.h"
#include "file/compare.h"
#include "file/digest_file.h"

namespace argosy::command {

namespace {

using base::Kind;
using engine::Bytes;

constexpr std::size_t kItemsATask = 128;
constexpr std::int64_t kBytesATask = 8 << 20;
constexpr std::size_t kLongestPath = 256 * 1024;

void put(base::Writer& writer, const Compared& item) {
  writer.put_string(item.path);
  writer.put(static_cast<std::uint32_t>(item.found.size()));
  for (const std::string& one : item.found) writer.put_string(one);
  writer.put(static_cast<std::uint8_t>(item.attributes ? 1 : 0));
  writer.put(item.offset);
  writer.put(item.length);
  writer.put_string(item.line);
  writer.put_string(item.first);
}

Compared get(base::Reader& reader) {
  Compared item;
  item.path = reader.get_string(kLongestPath);
  const auto count = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) item.found.push_back(reader.get_string(kLongestPath));
  item.attributes = reader.get<std::uint8_t>() != 0;
  item.offset = reader.get<std::int64_t>();
  item.length = reader.get<std::int64_t>();
  item.line = reader.get_string(engine::kDealBytes);
  item.first = reader.get_string(kLongestPath);
  return item;
}

}  // namespace

Bytes task_of(const std::vector<base::Failure>& failures, const std::vector<Compared>& items) {
  Bytes task;
  base::Writer writer(task);
  writer.put(static_cast<std::uint32_t>(failures.size()));
  for (const base::Failure& failure : failures) put_failure(writer, failure);
  writer.put(static_cast<std::uint32_t>(items.size()));
  for (const Compared& item : items) put(writer, item);
  return task;
}

std::vector<Compared> items_of(const Bytes& task) {
  base::Reader reader(task);
  const auto failures = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < failures && reader.ok(); ++i) get_failure(reader);
  std::vector<Compared> items;
  const auto count = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) items.push_back(get(reader));
  return items;
}

file::Folders& Comparison::Tree::folders() {
  std::call_once(once_, [this] {
    base_ = base::Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!base_.valid() && errno == ENOTDIR) {
      base_ = base::Fd(open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      file_ = file::name_of(path_);
    }
    if (!base_.valid()) throw base::system_error(Kind::kSource, path_, errno, "can't be read");
    folders_.emplace(base_.get());
  });
  return *folders_;
}

std::optional<Bytes> Comparison::next(Finder& finder) {
  std::vector<Compared> items;
  std::vector<base::Failure> failures;
  std::int64_t bytes = 0;
  std::size_t size = 0;
  try {
    while (!ended_ && items.size() < kItemsATask && bytes < kBytesATask && size < engine::kDealBytes / 2) {
      auto item = finder.next(failures);
      if (!item) {
        ended_ = true;
        break;
      }
      bytes += item->length;
      size += item->path.size() + item->line.size() + 64;
      for (const std::string& one : item->found) size += one.size() + 4;
      items.push_back(std::move(*item));
    }
  } catch (const base::Error& error) {
    ended_ = true;
    gave_up_ = true;
    failures.push_back(error.failure());
  }
  if (items.empty() && failures.empty()) return std::nullopt;
  return task_of(phases_.signed_here(std::move(failures)), items);
}

Bytes Comparison::work(const Bytes& task) {
  base::Reader reader(task);
  Bytes result;
  base::Writer writer(result);
  const auto failures = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < failures && reader.ok(); ++i) {
    writer.put(std::uint8_t{0});
    put_failure(writer, get_failure(reader));
  }
  const auto items = reader.get<std::uint32_t>();
  try {
    static_cast<void>(first_.folders());
    if (!second_.shown({}).empty()) static_cast<void>(second_.folders());
  } catch (const base::Error& error) {
    if (items == 0 || told_.exchange(true)) return result;
    writer.put(std::uint8_t{0});
    put_failure(writer, phases_.signed_here({error.failure()}).front());
    return result;
  }
  for (std::uint32_t i = 0; i < items && reader.ok() && base::interrupted() == 0; ++i) {
    Compared item = get(reader);
    try {
      item.line.empty() ? look(item) : look_at_line(item);
      writer.put(std::uint8_t{1});
      writer.put(static_cast<std::uint8_t>(item.offset == 0 ? 1 : 0));
      writer.put(item.length);
      writer.put_string(item.path);
      writer.put(static_cast<std::uint32_t>(item.found.size()));
      for (const std::string& one : item.found) writer.put_string(one);
    } catch (const base::Error& error) {
      if (error.failure().error_number == EINTR && base::interrupted() != 0) break;
      writer.put(std::uint8_t{0});
      put_failure(writer, phases_.signed_here({error.failure()}).front());
    }
  }
  return result;
}

void Comparison::look(Compared& item) {
  if (!item.attributes && item.length == 0) return;
  const file::Place a = first_.place(item.path);
  const file::Place b = second_.place(item.path);
  const std::string shown_a = first_.shown(item.path);
  const std::string shown_b = second_.shown(item.path);
  if (item.attributes)
    file::compare_attributes(file::attributes_of(a, shown_a), file::attributes_of(b, shown_b), item.found);
  if (item.length == 0) return;
  const engine::Timed timed(phases_.workers().meter(), engine::Work::kSource);
  const std::int64_t at = file::first_difference(a, b, item.offset, item.length, shown_a, shown_b);
  if (at >= 0) item.found.push_back(fmt::format("content: differs from byte {} on", at));
}

void Comparison::look_at_line(Compared& item) {
  const core::Entry told = entry_of_line(item.line, item.path);
  const file::Place place{first_.folders(), item.path};
  const std::string shown = first_.shown(item.path);
  struct stat status = {};
  const auto folder = place.folders.open(file::parent_of(item.path));
  const std::string leaf(file::name_of(item.path));
  if (!folder || fstatat(folder->fd.get(), leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      throw base::system_error(Kind::kSource, shown, errno, "can't be read");
    item.found.emplace_back("missing");
    item.length = 0;
    return;
  }
  // Compared when all names are known.
  if (told.type == core::Type::kHardLink) return;
  const core::Entry here = file::entry_of(place, status, shown);
  file::compare_status(told, here, what_, item.found);
  if (told.type != here.type) {
    item.length = 0;
    return;
  }
  if (what_.attributes && file::may_have_attributes(told.type))
    file::compare_attributes(told.attributes, file::attributes_of(place, shown), item.found);
  if (told.type != core::Type::kFile || !told.digest || told.size != here.size) return;
  const engine::Timed timed(phases_.workers().meter(), engine::Work::kHash);
  const file::OpenedForDigest content(shown, shown, here.size);
  if (base::close_digest(content.sum(0, here.size), here.size) != *told.digest)
    item.found.emplace_back("content: differs");
}

void Differences::take(const Bytes& result, const std::string& where) {
  base::Reader reader(result);
  while (reader.ok() && reader.left() > 0) {
    if (reader.get<std::uint8_t>() == 0) {
      failures_.add(get_failure(reader));
      continue;
    }
    const bool whole = reader.get<std::uint8_t>() != 0;
    report_.bytes += reader.get<std::int64_t>();
    const std::string path = reader.get_string(kLongestPath);
    const auto count = reader.get<std::uint32_t>();
    if (whole && !path.empty()) ++report_.files;
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
      const std::string one = reader.get_string(kLongestPath);
      // A large file is compared in parts; that it differs is said once.
      if (one.starts_with("content") && path == differs_) continue;
      if (one.starts_with("content")) differs_ = path;
      lines_.add(fmt::format("{}: {}{}", path.empty() ? "." : base::printable_name(path), base::printable(one), where));
      ++report_.differences;
    }
  }
}

}  // namespace argosy::command
