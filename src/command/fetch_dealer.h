// Who fetches what, decided on rank 0 alone as it goes: objects and ranges of objects are dealt to connections of ranks
// as these become free, within the one budget of the job (http/budget.h), and what comes of each decides what is asked
// next. Pure: takes words, gives orders, and time comes from the caller in seconds, so that tests drive it without MPI,
// network or clock.
//
// An object's first request asks for its first chunk. The answer pins it: strong ETag or Last-Modified, and size. The
// rest is dealt in ranges that shrink towards the end (guided self-scheduling: C. Polychronopoulos, D. Kuck, IEEE
// Trans. Computers C-36 (1987)), so that all connections end together; every further answer must match the pin. An
// object whose answers don't begins again from zero as a new entry (fetch_wire.h), the last times in one piece; so does
// one whose origin can't do ranges. One that an origin redirects to another host is asked for there, within that host's
// budget; a request that fails there goes back to where the redirect came from.
//
// One of which an interrupted run has left something at every member is first asked for where some of it is missing, by
// what pinned it then; and when its answer agrees, what all members have of it is asked for no more (fetch_resume.cpp).
//
// Seats: each connection of the job is a numbered place on a rank, and keeps its TCP connection for the next request.
// That a host has no more than its number of connections holds for those that are idle, too.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "command/fetch_manifest.h"
#include "command/fetch_report.h"
#include "command/fetch_wire.h"
#include "http/budget.h"
#include "http/list.h"
#include "http/url.h"

namespace argosy::command {

class Dealer {
 public:
  enum class Mode {
    kFiles,   // to the members' folders
    kOutput,  // to standard output, in the order given
    kHeads,   // nowhere: only what the answers were is of interest
  };
  struct Settings {
    Mode mode = Mode::kFiles;
    int connections = 8;    // of an origin host
    std::int64_t rate = 0;  // bytes a second, 0: no limit
    int retries = 5;        // of one object, one after another
    bool rename = false;    // a second file of a name gets a number
    std::int64_t chunk_size = 1 << 20;
    std::vector<int> seats;    // for each rank, how many connections it can serve
    std::vector<int> members;  // the ranks that write; kHeads: none
    std::vector<int> homes;    // for each rank, through which member its data go (an index into `members`)
    int window = 0;            // kOutput: chunks that may wait for their turn
    std::uint64_t chance = 0;  // seeds the jitter
  };
  struct Sent {
    int rank = 0;
    Order order;
  };

  // Throws base::Error (kUsage): an address is none, or two files would have one name.
  Dealer(std::vector<http::Wanted> wanted, const Settings& settings);

  void take(int rank, const Word& word, double now);
  // What is to be said to whom now.
  std::vector<Sent> deal(double now);
  // kOutput: the entry's first `bytes` bytes take no room any more; with `shown` they have been written out.
  void written(std::uint64_t entry, std::int64_t bytes, bool shown);
  // The entry whose body is to be written out now, or nothing; and whether its first answer has been looked at.
  std::optional<std::uint64_t> head() const;
  bool head_is_known() const { return objects_[head_].state != State::kWaiting || objects_[head_].heard; }
  // Then: its bytes must have a checksum.
  bool head_is_checked() const;
  // Who writes, known only once there are folders: before the first deal().
  void set_members(std::vector<int> members, std::vector<int> homes);

  // Nothing more is asked for: what is under way ends, what is unfinished is given up.
  void stop();
  // Every object has been settled, and every task has ended.
  bool done() const;
  // Nothing moves because all wait for a pause or a backoff to be over.
  bool waits(double now) const;
  Finished finished() const { return {counts_}; }

  std::int64_t files() const { return files_; }
  std::int64_t bytes() const { return bytes_; }                // of the files that are in place
  std::int64_t bytes_delivered() const { return delivered_; }  // of these what was fetched
  std::int64_t bytes_resumed() const { return resumed_; }      // what interrupted runs had fetched of them
  std::int64_t bytes_received() const;
  // Of all objects; -1 until all have told their size.
  std::int64_t bytes_known() const { return sizes_known_ == objects_.size() ? known_ : -1; }
  std::int64_t in_place() const { return in_place_; }  // files that had not to be fetched
  std::size_t objects() const { return objects_.size(); }
  const std::map<std::string, OriginReport>& ledger() const { return ledger_; }
  const std::vector<base::Failure>& failures() const { return failures_; }
  // Of the last object that was fetched.
  const std::optional<base::Digest>& digest() const { return digest_; }
  const std::string& name() const { return objects_.back().name; }
  std::vector<Response> responses() const;
  // The files that are in place.
  std::vector<Placed> placed() const;

 private:
  enum class State {
    kWaiting,  // for its first answer, asked for or not
    kMoving,   // its pin is known
    kEnding,   // all is fetched, the members verify and commit
    kDone,
    kFailed,
  };
  struct Span {
    std::int64_t first = 0;
    std::int64_t length = 0;  // 0: everything
    int avoid = -1;           // a rank that was too slow at it
  };
  // Chunks that wait for their turn to be written out.
  struct Reservation {
    int chunks = 0;
    std::int64_t end = INT64_MAX;  // of their bytes, once known
  };
  struct Object {
    http::Wanted wanted;
    std::vector<http::Url> urls;  // of the mirrors, parsed
    std::size_t mirror = 0;
    std::optional<http::Url> location;  // where the mirror has redirected to
    int redirects = 0;
    std::string plain;  // its name, unless the origin proposes one
    std::string name;
    State state = State::kWaiting;
    std::uint64_t attempt = 0;
    bool whole = false;  // in one piece, without ranges
    http::Pin pin;
    std::int64_t size = -1;
    std::int64_t announced = -1;            // size, as it counts in what is known
    std::vector<http::Checksum> checksums;  // the list's and the origin's
    bool heard = false;                     // kOutput: the checksums are known before the first answer's end
    std::optional<std::int64_t> modified;
    std::optional<Existing> existing;  // what all members have already
    bool naming = false;               // the members are asked what stands under the name that the origin proposes
    std::string proposed;              // by the origin, made safe
    int rank = -1;                     // that has told the last of it
    bool goes_on = false;              // with what an interrupted run has left at all members
    std::set<int> complete;            // of these those that have all of it in place
    bool recovering = false;           // they are asked what of it they have
    std::size_t recovered = 0;         // of them that have answered
    std::optional<std::vector<core::Part>> held;  // what these all have; nothing: all of it
    std::int64_t kept = 0;                        // bytes of it that need not come
    std::deque<Span> todo;
    std::int64_t delivered = 0;  // with those kept
    base::Digest sum;
    int outstanding = 0;  // requests of the present entry
    int tries = 0;        // that failed in a row
    int changes = 0;
    int crawls = 0;
    double not_before = 0;
    std::size_t receipts = 0;
    std::size_t failed_members = 0;
    std::string unequal;                           // what a member has found wrong with its bytes
    bool begun = false;                            // kOutput: some of it has been shown
    std::map<std::int64_t, Reservation> reserved;  // kOutput: by where they begin
    Response response;
  };
  struct Seat {
    std::string host;  // to which its connection is open
    bool busy = false;
  };
  struct Running {
    int rank = 0;
    int seat = 0;
    std::string host;
    std::deque<Item> items;  // those that have not ended
    double began = 0;        // the first of these
    std::int64_t bytes = 0;  // of it
    bool cut = false;
    bool granted = false;
  };

  // What members are asked about `count` objects; the answers of each to come.
  struct Looking {
    std::size_t first = 0;
    std::size_t count = 0;
    std::uint64_t proposed = 0;  // the entry whose proposed name it is about, plus one; 0: their own names
    std::size_t answers = 0;
    std::vector<Existing> found;
    std::vector<int> found_by;  // the ranks, in the same order
    std::vector<std::pair<int, Unfinished>> unfinished;
  };

  // Answers (fetch_answers.cpp), what comes of them (fetch_settle.cpp), and what members have (fetch_resume.cpp).
  Object& object_of(std::uint64_t entry);
  std::size_t index_of_object(const Object& object) const {
    return static_cast<std::size_t>(&object - objects_.data());
  }
  std::uint64_t present(const Object& object) const { return entry_of(index_of_object(object), object.attempt); }
  bool is_settled(const Object& object) const { return object.state == State::kDone || object.state == State::kFailed; }
  void take_word(int rank, const Looked& looked, double now);
  void take_word(int rank, const Outcome& outcome, double now);
  void take_word(int rank, const Begun& begun, double now);
  void take_word(int rank, const TaskEnd& end, double now);
  void take_word(int rank, const Standing& standing, double now);
  void take_word(int rank, const Receipt& receipt, double now);
  void take_word(int rank, const Held& held, double now);
  void look_for_unfinished(const Looking& looking);
  bool go_on(Object& object, const std::map<int, const Unfinished*>& unfinished, const Looking& looking);
  void tell_pin(Object& object);
  void keep_held(Object& object);
  bool asks_again(const Object& object) const { return object.goes_on && object.state == State::kWaiting; }
  std::optional<Item> ended(const Outcome& outcome, double now);
  void count(const Object& object, const Outcome& outcome, double now);
  void tell_pause(const std::string& host, double seconds);
  void came(Object& object, const Item& item, const Outcome& outcome, int rank);
  bool learn(Object& object, const Outcome& outcome, int rank);
  void redirected(Object& object, const Item& item, const Outcome& outcome, double now);
  bool settle_name(Object& object, const std::string& proposed);
  bool ask_for_name(Object& object);
  void name_is_known(Object& object, const std::vector<Existing>& found);
  void announce(Object& object, std::int64_t size);
  void put_back(Object& object, Span span);
  void refused(Object& object, const Item& item, const Outcome& outcome, double now);
  void try_again(Object& object, double now, const std::string& why);
  void changed(Object& object, double now, const std::string& why);
  void begin_again(Object& object);
  bool next_mirror(Object& object);
  void fail(Object& object, base::Kind kind, const std::string& message);
  void give_up(Object& object, bool stays = false);
  void drop(Object& object, bool stays = false);
  void leave_out_the_rest();
  void end_if_whole(Object& object);
  void place(Object& object, bool fetched);
  void release(Object& object);
  void advance();
  // What was given, and where it is to be asked for.
  const http::Url& url(const Object& object) const { return object.urls[object.mirror]; }
  const http::Url& place_of(const Object& object) const { return object.location ? *object.location : url(object); }
  const Existing* in_place(const Object& object) const;

  // Dealing (fetch_dealer.cpp; for standard output fetch_in_order.cpp).
  void look();
  void queue(Object& object, double now);
  bool deal_ranges(double now);
  bool deal_first(double now);
  bool deal_in_order(double now);
  bool is_next(std::size_t index) const;
  std::optional<std::pair<int, int>> free_seat(const std::string& host, int avoid);
  Item take_span(Object& object, std::int64_t most);
  void start(std::pair<int, int> seat, std::vector<Item> items, double now);
  std::int64_t range_length(const Object& object) const;
  void give_crawlers_away(double now);
  bool crawls(const Object& object, const Running& running, double now) const;
  void grant_head();
  void share_rate();
  void tell(int rank, Order order);
  void send_to_members(const Order& order);

  Settings settings_;
  http::Budget budget_;
  std::vector<Object> objects_;
  std::set<std::string> names_;
  std::vector<Sent> out_;
  std::vector<std::vector<Seat>> seats_;  // by rank
  std::vector<int> busy_;                 // seats, by rank
  std::map<std::string, int> open_;       // seats whose connection leads to a host
  std::size_t next_rank_ = 0;
  std::map<std::uint64_t, Running> running_;
  std::uint64_t next_task_ = 1;
  std::map<std::string, std::deque<std::size_t>> ready_;  // first requests, by host
  std::string last_host_;
  std::deque<std::size_t> moving_;              // objects with ranges to deal
  std::multimap<double, std::size_t> waiting_;  // for their time
  std::map<std::string, double> typical_;       // bytes a second of a connection, by host
  std::map<std::uint64_t, Looking> looks_;
  std::uint64_t next_look_ = 0;
  bool looked_ = false;
  std::vector<std::int64_t> rates_;  // by rank, as told
  std::size_t head_ = 0;             // kOutput: the object whose turn it is
  int held_ = 0;                     // kOutput: chunks reserved
  bool stopped_ = false;
  std::size_t settled_ = 0;
  double crawlers_sought_ = 0;
  std::vector<std::uint64_t> counts_;
  std::int64_t files_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t delivered_ = 0;
  std::int64_t resumed_ = 0;
  std::int64_t known_ = 0;
  std::size_t sizes_known_ = 0;
  std::int64_t in_place_ = 0;
  std::map<std::string, OriginReport> ledger_;
  std::vector<base::Failure> failures_;
  std::optional<base::Digest> digest_;
};

}  // namespace argosy::command
