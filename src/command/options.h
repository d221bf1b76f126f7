// What a user asked for, typed and with units resolved: filled by cli/, read by the commands. Pure data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/node_route.h"
#include "core/stripe_manifest.h"

namespace argosy::command {

enum class ProgressStyle { kAuto, kBar, kPlain, kNone };

// Options that every command shares. Bytes are bytes, rates bytes a second, 0 meaning no limit.
struct CommonOptions {
  int ranks = 0;                   // -n; 0: the command's default
  std::string hosts;               // --hosts a,b:2 as given; empty: this machine
  std::string hostfile;            // --hostfile
  std::string launcher_args;       // --launcher-args, split as a shell splits words
  std::int64_t memory = 64 << 20;  // --memory: the slots of all ranks of a node together
  std::int64_t chunk_size = 0;     // --chunk-size; 0: chosen by the command
  std::int64_t bwlimit = 0;        // --bwlimit: for each node and direction
  double stall_timeout = 60;       // --stall-timeout in seconds; 0: never
  bool fsync = false;
  bool read_back = false;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  ProgressStyle progress = ProgressStyle::kAuto;
};

// A pattern that says what of a tree is moved, or a list of them (read on the source rank's host; "-" is standard
// input).
struct SelectRule {
  enum class Kind { kExclude, kInclude, kExcludeFrom };
  Kind kind = Kind::kExclude;
  std::string text;
};

// What of the sources is moved, and how exactly.
struct TreeOptions {
  std::vector<SelectRule> rules;  // --exclude, --include, --exclude-from, in their order
  bool one_file_system = false;   // --one-file-system: what is mounted in a source stays
  bool dry_run = false;           // --dry-run: nothing is moved; what would be is listed
  bool no_owner = false;
  bool no_mode = false;
  bool no_times = false;
  bool no_xattrs = false;
  bool publish = false;  // --publish: a folder is shown when all of it is there
};

// The files that a command is to move.
struct Sources {
  std::vector<std::string> files;  // as given; "-" is standard input
  std::string files_from;     // --files-from: a list of more, read on the source rank's host; "-" is standard input
  bool from0 = false;         // --from0: names in lists end in NUL, not in newline
  std::string as;             // --as: the target's name for a single source; empty: the source's own
  std::string save_manifest;  // --save-manifest: a file on the source rank's host; empty: none
  TreeOptions tree;
};

// Each command's options have its name, and how many ranks are started for it where nobody says (0: one for each place
// of the hosts; without hosts one a core, at least 2, at most 4).

// `argosy send [--from R] [--to R] [--as NAME] [--files-from LIST] [--from0] FILE... DIR`
struct SendOptions : Sources {
  static constexpr std::string_view kName = "send";
  static constexpr int kDefaultRanks = 2;
  std::string directory;  // as given, templates unexpanded
  int from = 0;
  int to = 1;
  bool checksum = false;  // --checksum: a target is in place when its digest is the source's
};

// `argosy bcast [--route R] [--source root|shared] [--checksum] [--link-rate RATE] [--explain] FILE... DIR`
struct BcastOptions : Sources {
  static constexpr std::string_view kName = "bcast";
  static constexpr int kDefaultRanks = 0;
  std::string directory;                 // as given, templates unexpanded
  std::optional<core::RouteKind> route;  // nothing: the one with the shortest predicted time
  bool shared_source = false;            // --source shared: every node sees the source
  bool checksum = false;                 // --checksum: a target is in place when its digest is the source's
  std::int64_t link_rate = 0;            // --link-rate, bytes a second; 0: the stated default
  bool explain = false;                  // --explain: move nothing, show the routes' predictions
};

// `argosy scatter [--parity K] [--layout L] [--root-too] FILE... DIR`
struct ScatterOptions : Sources {
  static constexpr std::string_view kName = "scatter";
  static constexpr int kDefaultRanks = 0;
  std::string directory;  // as given, templates unexpanded
  int parity = 0;         // --parity
  core::StripeLayout layout = core::StripeLayout::kStripe;
  bool root_too = false;  // --root-too: rank 0 keeps a share as well
  bool checksum = false;  // --checksum: a folder is in place when digests agree
};

// DIR/NAME, a stripe: where its folders are, and the file's name.
struct StripeName {
  std::string directory;  // as given, templates unexpanded
  std::string name;
};

// `argosy gather [--to R] [--range OFFSET:LENGTH] DIR/NAME OUT` and `argosy gather --concat [--to R] DIR OUT`
struct GatherOptions : StripeName {
  static constexpr std::string_view kName = "gather";
  static constexpr int kDefaultRanks = 0;
  std::string out;
  int to = 0;
  struct Range {
    std::int64_t offset = 0;
    std::int64_t length = 0;
  };
  std::optional<Range> range;
  // --concat: every rank's own `directory` into `out`, which then may have templates too (the giver's).
  bool concat = false;
  bool checksum = false;      // a file is in place when its digest is the source's
  std::string save_manifest;  // --save-manifest: a file on the receiver's host; empty: none
  TreeOptions tree;
};

// `argosy repair DIR/NAME`
struct RepairOptions : StripeName {
  static constexpr std::string_view kName = "repair";
  static constexpr int kDefaultRanks = 0;
};

// `argosy fetch [-i LIST] [--to RANK|all] URL... DIR` and `argosy fetch --stdout URL...`
struct FetchOptions {
  static constexpr std::string_view kName = "fetch";
  static constexpr int kDefaultRanks = 0;
  std::vector<std::string> urls;
  std::vector<std::string> lists;  // -i: files, read on rank 0's host; "-" is standard input
  std::string directory;           // as given, templates unexpanded; empty with to_output
  int to = 0;                      // the rank that writes
  bool to_all = false;             // every node does
  bool to_output = false;          // --stdout
  int connections = 8;             // to an origin host, of all ranks together
  std::int64_t rate = 0;           // bytes a second from all origins together, 0: no limit
  int retries = 5;                 // of an object, one after another
  double timeout = 30;             // seconds without a byte of an answer
  bool rename = false;             // a second file of a name gets a number
  std::string sha256;              // of a single URL: 64 hexadecimal digits
  std::string header_file;         // "Name: value" lines, read on rank 0's host
  std::string cacert;              // PEM, read on rank 0's host
  bool insecure = false;           // certificates are not checked
  std::string save_manifest;       // --save-manifest: a file on the host of the first rank that writes; empty: none
};

// `argosy digest [--xxh3|--sha256] PATH...`
struct DigestOptions {
  static constexpr std::string_view kName = "digest";
  static constexpr int kDefaultRanks = 0;
  std::vector<std::string> paths;
  bool sha256 = false;
};

// `argosy verify A B`, `argosy verify --nodes DIR`, `argosy verify --manifest FILE DIR`, `argosy verify --stripes
// DIR/NAME`
struct VerifyOptions {
  static constexpr std::string_view kName = "verify";
  static constexpr int kDefaultRanks = 0;
  enum class Against { kOther, kNodes, kManifest, kStripes };
  Against against = Against::kOther;
  std::string directory;  // A, or DIR
  std::string other;      // B
  std::string manifest;   // FILE
  StripeName stripe;      // DIR/NAME
  bool no_owner = false;
  bool no_mode = false;
  bool no_times = false;
  bool no_xattrs = false;
};

// `argosy clean DIR`
struct CleanOptions {
  static constexpr std::string_view kName = "clean";
  static constexpr int kDefaultRanks = 0;
  std::string directory;  // as given, templates unexpanded
};

using CommandOptions = std::variant<SendOptions, BcastOptions, ScatterOptions, GatherOptions, RepairOptions,
                                    FetchOptions, DigestOptions, VerifyOptions, CleanOptions>;

struct Options {
  CommonOptions common;
  CommandOptions command;
  // The folder in which argosy was started: relative paths start here on every host.
  std::string start_directory;
};

}  // namespace argosy::command
