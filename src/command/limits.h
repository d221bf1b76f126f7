// What held a transfer up, read from all ranks' reports.
#pragma once

#include <string>
#include <vector>

#include "command/report.h"

namespace argosy::command {

// What limited a transfer that took `seconds`: the busiest card, disk, source or hash of all ranks', such as
// "network into h5 (97 % busy)". Links that wait for a slow card are as busy as its own: of them it is the card to and
// from which nothing ever went faster.
std::string limiting_stage(const std::vector<RankReport>& ranks, double seconds);

}  // namespace argosy::command
