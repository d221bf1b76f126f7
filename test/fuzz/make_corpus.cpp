// make_corpus FOLDER: writes the binary seeds of the harnesses anew, with the program's own encoders, after a layout
// has changed. Those of filter and http are text, written by hand.
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "check.h"
#include "core/chunk.h"
#include "core/receipt.h"
#include "core/stripe_manifest.h"
#include "core/stripe_wire.h"
#include "engine/transfer.h"
#include "file/journal.h"
#include "file/tree_pack.h"
#include "memory_fabric.h"

namespace argosy {
namespace {

using Bytes = std::vector<std::byte>;

std::string folder;

void save(const std::string& name, std::span<const std::byte> bytes) {
  std::ofstream(folder + "/" + name, std::ios::binary) << fuzz::text_of(bytes);
}

Bytes unsealed(Bytes bytes) {
  bytes.resize(bytes.size() - 8);
  return bytes;
}

Bytes behind(std::uint8_t kind, std::span<const std::byte> bytes) {
  Bytes all = {std::byte{kind}};
  all.insert(all.end(), bytes.begin(), bytes.end());
  return all;
}

core::Entry an_entry(std::string path, core::Type type, std::int64_t size = 0) {
  core::Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  entry.size = size;
  entry.mode = 0644;
  entry.mtime = entry.ctime = {1'700'000'000, 5};
  entry.inode = 77;
  if (type == core::Type::kSymlink) entry.link = "../x";
  if (type == core::Type::kHardLink) entry.link = "tree/file";
  return entry;
}

core::Page a_page() {
  using core::Type;
  core::Page page;
  page.entries = {an_entry("tree", Type::kFolder),
                  an_entry("tree/file", Type::kFile, 1000),
                  an_entry("tree/link", Type::kSymlink),
                  an_entry("tree/again", Type::kHardLink),
                  an_entry("tree/fifo", Type::kFifo),
                  an_entry("tree/null", Type::kCharDevice),
                  an_entry("gone", Type::kFile, core::kMissing)};
  page.entries[1].attributes = {{"user.a", "1"}, {"user.b", ""}};
  page.entries[1].digest = base::Digest{1, 2};
  page.entries[1].sparse = true;
  page.entries[5].device = 259;
  return page;
}

core::Answer an_answer() {
  core::Answer answer{0, {true, true, false}, {}};
  answer.held.push_back(
      {1, {{{0, 2 * base::kLeafSize}, {1, 2}}, {{3 * base::kLeafSize, 4 * base::kLeafSize}, {3, 4}}}});
  return answer;
}

void manifests() {
  core::Page last;
  last.number = 1;
  last.first = 7;
  last.last = true;
  save("manifest/page", unsealed(core::encode_page(a_page())));
  save("manifest/last", unsealed(core::encode_page(last)));
  save("manifest/answer", unsealed(core::encode_answer(an_answer())));
}

void wires() {
  core::Head head;
  head.payload = 300;
  head.last = true;
  head.stream_bytes = 300;
  head.stream_entries = 2;
  std::vector<core::Record> records(4);
  records[0].length = 200;
  records[3].kind = core::Record::Kind::kPacked;
  records[3].packed = 100;
  records[3].length = base::kLeafSize;
  records[1].kind = core::Record::Kind::kHole;
  records[1].offset = base::kLeafSize;
  records[1].length = base::kLeafSize;
  records[2].kind = core::Record::Kind::kEnd;
  records[2].length = 2 * base::kLeafSize;
  Bytes chunk(core::message_capacity(base::kLeafSize));
  chunk.resize(core::seal_chunk(chunk, head, records));
  save("wire/chunk", behind(0, chunk));
  core::Receipt receipt;
  receipt.chunks = 3;
  receipt.bytes = 1 << 20;
  receipt.failed = {7};
  save("wire/receipt", behind(1, unsealed(core::encode_receipt(receipt))));
  core::Deal deal;
  deal.payload = 40;
  deal.chunks.resize(2);
  deal.chunks[1].at = 20;
  deal.chunks[0].length = deal.chunks[1].length = 20;
  Bytes message(core::deal_head_bytes(4) + deal.payload);
  core::encode_deal(deal, message);
  save("wire/deal", behind(2 + 8 * 3, message));
  const std::vector<core::StripeReceipt> receipts = {{1, 5, 0}, {1, 6, 28}};
  save("wire/stripe_receipts", behind(3, unsealed(core::encode_receipts(receipts))));
  core::Request request{core::Ask::kRead, 9, std::vector<core::Wanted>(2)};
  for (core::Wanted& one : request.wanted) one.chunk_size = one.length = 1000;
  save("wire/request", behind(4, unsealed(core::encode_request(request))));
  Bytes reply(core::reply_head_bytes(2));
  core::encode_reply({9, {0, 5}}, reply);
  save("wire/reply", behind(5, reply));
  Bytes table(core::kTableHeadBytes);
  core::encode_table_head(12, std::span(table).first<core::kTableHeadBytes>());
  save("wire/table", behind(6, unsealed(table)));
  Bytes row(core::kRowBytes);
  core::encode_row({{1, 2}, 3, 4}, 5, 6, std::span(row).first<core::kRowBytes>());
  save("wire/row", behind(7, row));
}

void journals() {
  core::Entry entry = an_entry("folder/name", core::Type::kFile, 5 * base::kLeafSize + 1000);
  Bytes bytes = file::Journal::encode_head(file::Journal::key_of(entry), "7b0f9c1e-0000-4000-8000-123456789abc", 1);
  const auto head = base::Reader(std::span(bytes).last(8)).get<std::uint64_t>();
  for (const core::Range range : {core::Range{0, base::kLeafSize},
                                  {2 * base::kLeafSize, 4 * base::kLeafSize},
                                  {5 * base::kLeafSize, entry.size}}) {
    const Bytes record = file::Journal::encode({range, {}, true}, head);
    bytes.insert(bytes.end(), record.begin(), record.end());
  }
  save("journal/three", bytes);
  const Bytes boot = file::Journal::encode(file::Journal::boot_record("another"), head);
  bytes.insert(bytes.end(), boot.begin(), boot.end());
  save("journal/torn", std::span(bytes).first(bytes.size() - 20));
}

// What travels from rank `from` in a transfer of small files, as the harness reads it.
void streams(int from) {
  test::Fabric fabric(2);
  Bytes all = {std::byte{static_cast<std::uint8_t>(from == 0 ? 1 : 0)}};
  fabric.damage = [&](int rank, int, core::Tag tag, Bytes& bytes) {
    const bool data = tag == core::Tag::kChunk || tag == core::Tag::kReceipt;
    const Bytes part = tag == core::Tag::kChunk ? bytes : unsealed(bytes);
    if (rank != from || part.size() > UINT16_MAX) return;
    all.push_back(static_cast<std::byte>(data ? 5 : 4));
    base::Writer(all).put(static_cast<std::uint16_t>(part.size()));
    all.insert(all.end(), part.begin(), part.end());
  };
  const core::Direct route(0, 1);
  const std::size_t slot = core::message_capacity(base::kLeafSize);
  Bytes memory(8 * slot);
  engine::Pools pools = {engine::Pool(std::span(memory).first(4 * slot), slot),
                         {engine::Pool(std::span(memory).last(4 * slot), slot)}};
  engine::Workers workers(0);
  test::MemorySource source({{"a", std::string(3 * base::kLeafSize + 5, 'a')}, {"b", "b"}, {"c", ""}, {"d", "dddd"}},
                            2);
  test::MemorySink sink;
  engine::Transfer::Settings settings;
  settings.origin.chunk_size = base::kLeafSize;
  settings.origin.ahead = 2;
  engine::Transfer a(fabric[0], workers, pools, route, &source, nullptr, settings);
  engine::Transfer b(fabric[1], workers, pools, route, nullptr, &sink, settings);
  while (!a.done() || !b.done()) {
    for (const int rank : {0, 1}) fabric[rank].poll();
    workers.drain();
    a.step();
    b.step();
  }
  save(from == 0 ? "stream/to_destination" : "stream/to_origin", all);
}

// A file of three leaves that are all hole, which makes it short: a page, two chunks, the last page.
void holes() {
  Bytes all = {std::byte{1}};
  const auto add = [&all](std::uint8_t kind, const Bytes& part) {
    all.push_back(std::byte{kind});
    base::Writer(all).put(static_cast<std::uint16_t>(part.size()));
    all.insert(all.end(), part.begin(), part.end());
  };
  core::Page page;
  page.entries = {an_entry("a", core::Type::kFile, 3 * base::kLeafSize)};
  add(4, unsealed(core::encode_page(page)));
  for (const std::int64_t first : {0, 2}) {
    std::vector<core::Record> records(2);
    for (std::int64_t i = 0; i < 2; ++i) {
      core::Record& record = records[static_cast<std::size_t>(i)];
      record.kind = core::Record::Kind::kHole;
      record.offset = (first + i) * base::kLeafSize;
      record.length = base::kLeafSize;
    }
    if (first > 0) {
      records[1] = {};
      records[1].kind = core::Record::Kind::kEnd;
      records[1].length = 3 * base::kLeafSize;
    }
    core::Head head;
    head.last = first > 0;
    Bytes chunk(core::message_capacity(0));
    chunk.resize(core::seal_chunk(chunk, head, records));
    add(5, chunk);
  }
  page = {};
  page.last = true;
  add(4, unsealed(core::encode_page(page)));
  save("stream/holes", all);
}

void stripes() {
  core::StripeManifest manifest;
  manifest.file = an_entry("name", core::Type::kFile, 1'000'000);
  manifest.generation = "00112233445566778899aabbccddeeff";
  manifest.chunk_size = 4096;
  manifest.workers = {1, 2, 3, 4};
  manifest.parity = 1;
  manifest.failed = {{3, 28, 1}};
  // On one line: what is mutated should not be blanks.
  const std::string text = nlohmann::json::parse(core::encode_stripe_manifest(manifest)).dump();
  save("stripe/manifest", std::as_bytes(std::span(text)));
}

// A part of a folder's bytes: a page, or what lies between pages.
void add_part(Bytes& all, std::uint8_t kind, std::span<const std::byte> part) {
  base::Writer writer(all);
  writer.put(kind);
  writer.put(static_cast<std::uint16_t>(part.size()));
  all.insert(all.end(), part.begin(), part.end());
}

void packs() {
  using core::Type;
  core::Page page;
  page.entries = {an_entry("tree", Type::kFolder), an_entry("tree/file", Type::kFile, 6),
                  an_entry("tree/hole", Type::kFile, 1 << 20), an_entry("tree/link", Type::kSymlink),
                  an_entry("tree/again", Type::kHardLink)};
  const auto head = [](Bytes& to, file::PackPart part, std::int64_t length) {
    base::Writer writer(to);
    writer.put(static_cast<std::uint8_t>(part));
    writer.put(length);
  };
  Bytes parts;
  head(parts, file::PackPart::kData, 6);
  parts.resize(parts.size() + 6);
  head(parts, file::PackPart::kEnd, 6);
  head(parts, file::PackPart::kHole, 1 << 20);
  head(parts, file::PackPart::kEnd, 1 << 20);
  core::Page last;
  last.number = 1;
  last.first = page.entries.size();
  last.last = true;
  Bytes all;
  add_part(all, 0, unsealed(core::encode_page(page)));
  add_part(all, 1, parts);
  add_part(all, 0, unsealed(core::encode_page(last)));
  save("pack/tree", all);
}

}  // namespace
}  // namespace argosy

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  argosy::folder = argv[1];
  argosy::manifests();
  argosy::wires();
  argosy::journals();
  argosy::streams(0);
  argosy::streams(1);
  argosy::holes();
  argosy::stripes();
  argosy::packs();
  return 0;
}
