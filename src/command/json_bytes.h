// Bytes that need not be text, in JSON: a name that is not UTF-8 stands with U+FFFD in it, and beside it as it is in
// base64.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace argosy::command {

std::string to_base64(std::string_view bytes);
// Throws std::invalid_argument where `text` is none.
std::string from_base64(std::string_view text);

// `bytes` under `key`; where they are not UTF-8, also as they are under `key`_base64.
void put_bytes(nlohmann::json& object, const std::string& key, const std::string& bytes);
// What put_bytes has put; empty where there is nothing. Throws as nlohmann::json does, and as from_base64.
std::string get_bytes(const nlohmann::json& object, const std::string& key);

}  // namespace argosy::command
