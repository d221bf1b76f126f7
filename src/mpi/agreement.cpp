#include "mpi/agreement.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mpi/agreement_state.h"

namespace argosy::mpi {

namespace {

template <std::size_t N>
void put_text(std::array<char, N>& place, std::string_view text) {
  place.fill('\0');
  std::memcpy(place.data(), text.data(), std::min(text.size(), N - 1));
}

// MPI_User_function: inout = the better of both failures, and the sums.
void combine(void* in, void* inout, int* count, MPI_Datatype* /*type*/) {
  const auto* from = static_cast<const Ballot*>(in);
  auto* into = static_cast<Ballot*>(inout);
  for (int i = 0; i < *count; ++i) {
    const Ballot& a = from[i];
    Ballot& b = into[i];
    const auto kind_a = static_cast<base::Kind>(a.kind);
    const auto kind_b = static_cast<base::Kind>(b.kind);
    // Equal kinds: the lowest rank's, so that the outcome does not depend on the order of the reduction.
    const bool better = base::more_telling(kind_a, kind_b) || (kind_a == kind_b && a.rank < b.rank);
    Ballot sum = better ? a : b;
    sum.succeeded = a.succeeded + b.succeeded;
    sum.failed = a.failed + b.failed;
    sum.bytes = a.bytes + b.bytes;
    sum.files = a.files + b.files;
    sum.open_ended = std::max(a.open_ended, b.open_ended);
    sum.interrupted = std::max(a.interrupted, b.interrupted);
    b = sum;
  }
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Ballot>);

Agreement::Agreement(std::unique_ptr<State> state) : state_(std::move(state)) {}
Agreement::Agreement(Agreement&&) noexcept = default;
Agreement& Agreement::operator=(Agreement&&) noexcept = default;
Agreement::~Agreement() = default;

BallotType::BallotType() {
  check(MPI_Type_contiguous(static_cast<int>(sizeof(Ballot)), MPI_BYTE, &type), "MPI_Type_contiguous");
  check(MPI_Type_commit(&type), "MPI_Type_commit");
  check(MPI_Op_create(combine, 1, &operation), "MPI_Op_create");
}

BallotType::~BallotType() {
  // The job is ending: an error here has nothing left to spoil.
  static_cast<void>(MPI_Op_free(&operation));
  static_cast<void>(MPI_Type_free(&type));
}

std::unique_ptr<Agreement::State> start_agreement(MPI_Comm communicator, const BallotType& type, const Verdict& mine) {
  auto state = std::make_unique<Agreement::State>();
  Ballot& ballot = state->mine;
  ballot.kind = static_cast<std::int32_t>(mine.failure.kind);
  ballot.rank = mine.failure.rank;
  ballot.error_number = mine.failure.error_number;
  put_text(ballot.path, mine.failure.path);
  put_text(ballot.message, mine.failure.message);
  put_text(ballot.host, mine.failure.host);
  ballot.succeeded = mine.succeeded;
  ballot.failed = mine.failed;
  ballot.bytes = mine.bytes;
  ballot.files = mine.files;
  ballot.open_ended = mine.open_ended ? 1 : 0;
  ballot.interrupted = mine.interrupted;
  check(MPI_Iallreduce(&state->mine, &state->all, 1, type.type, type.operation, communicator, &state->request),
        "MPI_Iallreduce");
  return state;
}

bool Agreement::reached() {
  int flag = 0;
  check(MPI_Test(&state_->request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
  return flag != 0;
}

Verdict Agreement::verdict() const {
  const Ballot& ballot = state_->all;
  Verdict verdict;
  verdict.failure = {static_cast<base::Kind>(ballot.kind),
                     ballot.path.data(),
                     ballot.rank,
                     ballot.host.data(),
                     ballot.error_number,
                     ballot.message.data()};
  verdict.succeeded = ballot.succeeded;
  verdict.failed = ballot.failed;
  verdict.bytes = ballot.bytes;
  verdict.files = ballot.files;
  verdict.open_ended = ballot.open_ended != 0;
  verdict.interrupted = ballot.interrupted;
  return verdict;
}

}  // namespace argosy::mpi
