#include "file/tree_unpack.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "core/manifest_check.h"
#include "file/disk.h"
#include "file/tree_pack.h"

namespace argosy::file {

namespace {

using base::Kind;

constexpr std::int64_t kGivenBackAtOnce = 64 << 20;

// The bytes in their order, bounded memory.
class Bytes {
 public:
  Bytes(int fd, std::int64_t size, const std::string& shown, bool keeps)
      : fd_(fd), left_(size), shown_(shown), keeps_(keeps) {}

  // Fills `into`. Throws where there are fewer.
  void take(std::span<std::byte> into) {
    if (static_cast<std::int64_t>(into.size()) > left_) throw refused("it ends too early");
    const std::int64_t got = read_up_to(fd_, at_, into);
    if (got < static_cast<std::int64_t>(into.size()))
      throw base::system_error(Kind::kDestination, shown_, got < 0 ? errno : EIO, "what was gathered");
    at_ += got;
    left_ -= got;
    if (!keeps_) give_back();
    if (base::interrupted() != 0) throw base::Error(Kind::kDestination, shown_, EINTR, "interrupted");
  }
  void skip(std::int64_t length) {
    if (length > left_) throw refused("it ends too early");
    left_ -= length;
    at_ += length;
  }
  std::int64_t left() const { return left_; }
  base::Error refused(const std::string& why) const {
    return {Kind::kIntegrity, shown_, 0, "what was striped is no folder: " + why};
  }

 private:
  // Not every file system can.
  void give_back() {
    if (at_ - given_back_ < kGivenBackAtOnce) return;
    static_cast<void>(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, given_back_, at_ - given_back_));
    given_back_ = at_;
  }

  int fd_;
  std::int64_t left_;
  const std::string& shown_;
  bool keeps_;
  off_t at_ = 0;
  off_t given_back_ = 0;
};

// One file's parts. Without a writer they are only looked at.
class Filling {
 public:
  Filling(Bytes& bytes, Writer* writer, std::uint64_t index, const core::Entry& entry, bool digests)
      : bytes_(bytes), writer_(writer), index_(index), entry_(entry), digests_(digests) {}

  // Reads all of them. True when the file is in place; where it can't be had `failure` says why. Throws where the parts
  // are none.
  bool run(bool wanted, std::optional<base::Failure>& failure) {
    wanted_ = wanted;
    while (true) {
      std::vector<std::byte> head(kPackPartBytes);
      bytes_.take(head);
      base::Reader reader(head);
      const auto kind = reader.get<std::uint8_t>();
      const auto length = reader.get<std::int64_t>();
      if (kind == static_cast<std::uint8_t>(PackPart::kFailed)) return end(false, failure);
      if (kind == static_cast<std::uint8_t>(PackPart::kEnd)) {
        if (length != entry_.size || at_ != entry_.size) throw bytes_.refused("a file ends where it should not");
        return end(true, failure);
      }
      if (kind > static_cast<std::uint8_t>(PackPart::kHole)) throw bytes_.refused("a part of no known kind");
      const bool hole = kind == static_cast<std::uint8_t>(PackPart::kHole);
      if (length <= 0 || length > entry_.size - at_ || (!hole && length > kPackPartMost)) {
        throw bytes_.refused("a part of no possible length");
      }
      if (at_ % base::kLeafSize != 0) throw bytes_.refused("a part begins where none may");
      put(hole, length, failure);
      at_ += length;
    }
  }

 private:
  void put(bool hole, std::int64_t length, std::optional<base::Failure>& failure) {
    if (!wanted_ || failure) {
      if (!hole) bytes_.skip(length);
      return;
    }
    if (!hole) {
      data_.resize(static_cast<std::size_t>(length));
      bytes_.take(data_);
    }
    try {
      if (digests_) sum_ += hole ? base::digest_of_zeros(at_, length) : base::digest_of(data_, at_);
      if (hole) {
        writer_->hole(index_, at_, length);
      } else {
        writer_->write(index_, at_, data_);
      }
    } catch (const base::Error& error) {
      failure = error.failure();
    }
  }

  bool end(bool whole, std::optional<base::Failure>& failure) {
    if (!wanted_) return whole;
    if (whole && !failure) {
      try {
        writer_->commit(index_, entry_.size, base::close_digest(sum_, entry_.size));
        return true;
      } catch (const base::Error& error) {
        failure = error.failure();
      }
    }
    writer_->discard(index_);
    return false;
  }

  Bytes& bytes_;
  Writer* writer_;
  std::uint64_t index_;
  const core::Entry& entry_;
  bool digests_;
  bool wanted_ = false;
  std::int64_t at_ = 0;
  base::Digest sum_;
  std::vector<std::byte> data_;
};

class Unpacking {
 public:
  Unpacking(int fd, std::int64_t size, const std::string& name, Writer* writer, const std::string& shown, bool digests)
      : bytes_(fd, size, shown, writer == nullptr), name_(name), writer_(writer), digests_(digests) {}

  Unpacked run() {
    std::vector<std::byte> head(2 * sizeof(std::uint32_t));
    bytes_.take(head);
    base::Reader reader(head);
    if (reader.get<std::uint32_t>() != kPackMagic || reader.get<std::uint32_t>() != kPackVersion) {
      throw bytes_.refused("it does not begin as one");
    }
    while (take_page()) {
    }
    if (top_.empty()) throw bytes_.refused("it names none");
    if (bytes_.left() != 0) throw bytes_.refused("something follows its end");
    return std::move(done_);
  }

 private:
  bool take_page() {
    std::vector<std::byte> length_bytes(sizeof(std::uint32_t));
    bytes_.take(length_bytes);
    const auto length = base::Reader(length_bytes).get<std::uint32_t>();
    if (length > core::kPageBytes) throw bytes_.refused("a page is too long");
    std::vector<std::byte> encoded(length);
    bytes_.take(encoded);
    std::string why;
    auto page = core::decode_page(encoded, why);
    if (!page) throw bytes_.refused(why);
    if (page->number != next_page_ || page->first != entries_) throw bytes_.refused("a page out of its order");
    ++next_page_;
    entries_ += page->entries.size();
    if (page->last) return false;
    if (const auto wrong = check_.take(*page)) throw bytes_.refused(wrong->why);
    for (core::Entry& entry : page->entries) rename(entry);
    core::Examination found;
    if (writer_ != nullptr) {
      found = writer_->inspect(*page);
    } else {
      found.wanted.assign(page->entries.size(), false);
    }
    done_.folders += static_cast<std::int64_t>(found.folders);
    done_.files += static_cast<std::int64_t>(found.links_and_specials);
    done_.failures.add(std::move(found.failures));
    std::vector<bool> failed(page->entries.size(), false);
    for (const std::uint32_t one : found.failed) failed[one] = true;
    for (std::size_t i = 0; i < page->entries.size(); ++i) {
      if (page->entries[i].readable()) take_file(page->first + i, page->entries[i], found.wanted[i], failed[i]);
    }
    return true;
  }

  void take_file(std::uint64_t index, const core::Entry& entry, bool wanted, bool failed) {
    std::optional<base::Failure> failure;
    const bool in_place = Filling(bytes_, writer_, index, entry, digests_).run(wanted, failure) && !failed;
    if (failure) done_.failures.add(std::move(*failure));
    if (!in_place) return;
    ++done_.files;
    done_.bytes += entry.size;
  }

  // Everything is in one folder, which is called `name_` here.
  void rename(core::Entry& entry) {
    if (entry.open_ended) throw bytes_.refused("a file without a size");
    if (top_.empty()) {
      if (entry.type != core::Type::kFolder || entry.path.find('/') != std::string::npos)
        throw bytes_.refused("it does not begin with a folder");
      top_ = entry.path;
    } else if (entry.path.find('/') == std::string::npos) {
      throw bytes_.refused("it begins twice");
    }
    place(entry.path);
    if (entry.type == core::Type::kHardLink) place(entry.link);
  }

  void place(std::string& path) const {
    if (!path.starts_with(top_) || (path.size() > top_.size() && path[top_.size()] != '/'))
      throw bytes_.refused("it names something outside");
    path = name_ + path.substr(top_.size());
  }

  Bytes bytes_;
  const std::string& name_;
  Writer* writer_;
  bool digests_;
  Unpacked done_;
  std::string top_;
  core::ManifestCheck check_;
  std::uint64_t next_page_ = 0;
  std::uint64_t entries_ = 0;
};

}  // namespace

void check_tree(int fd, std::int64_t size, const std::string& shown) {
  const std::string name = "checked";
  static_cast<void>(Unpacking(fd, size, name, nullptr, shown, false).run());
}

Unpacked unpack_tree(int fd, std::int64_t size, const std::string& name, Writer& writer, const std::string& shown,
                     bool digests) {
  return Unpacking(fd, size, name, &writer, shown, digests).run();
}

}  // namespace argosy::file
