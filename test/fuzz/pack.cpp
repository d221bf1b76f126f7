// A striped folder's bytes, put together of pages and of what lies between them.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "check.h"
#include "file/beneath.h"
#include "file/tree_pack.h"
#include "file/tree_unpack.h"
#include "file/writer.h"

namespace argosy {
namespace {

namespace fs = std::filesystem;
using fuzz::require;

// A folder in memory that has nothing but OUT's folder and the bytes.
struct Place {
  Place() {
    std::string path = access("/dev/shm", W_OK) == 0 ? "/dev/shm/argosy-fuzz-XXXXXX" : "/tmp/argosy-fuzz-XXXXXX";
    require(mkdtemp(path.data()) != nullptr, "there is room for a folder");
    root = path;
  }
  ~Place() { fs::remove_all(root); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  fs::path root;
};

std::vector<std::byte> put_together(std::span<const std::byte> input) {
  std::vector<std::byte> bytes;
  base::Writer writer(bytes);
  writer.put(file::kPackMagic);
  writer.put(file::kPackVersion);
  fuzz::Parts parts(input);
  while (!parts.empty()) {
    const bool page = parts.byte() % 2 == 0;
    const auto part = parts.part();
    const std::vector<std::byte> with_checksum = fuzz::sealed(part);
    if (page) writer.put(static_cast<std::uint32_t>(with_checksum.size()));
    const std::span<const std::byte> all = page ? std::span(with_checksum) : part;
    bytes.insert(bytes.end(), all.begin(), all.end());
  }
  return bytes;
}

void unpack(int fd, std::int64_t size, const fs::path& root) {
  bool believed = false;
  try {
    file::check_tree(fd, size, "shown");
    believed = true;
    const file::Folder out((root / "out").string(), 0);
    file::Writer writer(&out, {});
    static_cast<void>(file::unpack_tree(fd, size, "folder", writer, "shown", false));
    static_cast<void>(writer.finish());
  } catch (const base::Error& error) {
    require(error.failure().kind == base::Kind::kIntegrity, "what is refused is no disk's failure");
    require(!believed, "what was looked at is refused no more");
  }
  for (const auto& one : fs::directory_iterator(root)) {
    require(one.path().filename() == "bytes" || (believed && one.path().filename() == "out"),
            "nothing is made outside");
  }
  if (!believed) return;
  for (const auto& one : fs::directory_iterator(root / "out")) {
    require(one.path().filename() == "folder", "nothing is made beside the folder");
  }
  fs::remove_all(root / "out");
}

}  // namespace
}  // namespace argosy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace argosy;
  static const Place place;
  const std::vector<std::byte> bytes = put_together(std::as_bytes(std::span(data, size)));
  const base::Fd fd(open((place.root / "bytes").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  fuzz::require(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "there is room");
  unpack(fd.get(), static_cast<std::int64_t>(bytes.size()), place.root);
  return 0;
}
