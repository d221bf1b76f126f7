#include "core/claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace argosy {
namespace {

using core::Claims;

TEST(CoreClaims, APathIsOneGivers) {
  Claims claims;
  EXPECT_TRUE(claims.claim("a/b", false, 1).granted);
  EXPECT_TRUE(claims.claim("a/c", false, 2).granted);
  EXPECT_TRUE(claims.claim("a/b", false, 1).granted);
  const auto second = claims.claim("a/b", false, 2);
  EXPECT_FALSE(second.granted);
  EXPECT_EQ(second.other, 1);
  EXPECT_TRUE(second.first);
  const auto third = claims.claim("a/b", false, 3);
  EXPECT_FALSE(third.granted);
  EXPECT_FALSE(third.first);
  // Whoever had it first has it no more.
  EXPECT_FALSE(claims.claim("a/b", false, 1).granted);
  EXPECT_TRUE(claims.is_refused("a/b", 1));
  EXPECT_FALSE(claims.is_refused("a/c", 2));
  EXPECT_TRUE(claims.is_refused("a/c", 1));
  EXPECT_FALSE(claims.is_refused("nobody's", 1));
}

TEST(CoreClaims, FoldersAreEverybodys) {
  Claims claims;
  for (const int giver : {2, 0, 1, 2}) {
    const auto ruling = claims.claim("a", true, giver);
    EXPECT_TRUE(ruling.granted);
    EXPECT_EQ(ruling.other, -1);
  }
}

// Whatever the order: the folder stays, the file is refused, and it is told once.
TEST(CoreClaims, AFoldersNameIsTheFolders) {
  struct Claim {
    bool folder;
    int giver;
  };
  std::array<Claim, 3> order = {Claim{true, 0}, Claim{true, 1}, Claim{false, 2}};
  const auto by_giver = [](const Claim& one, const Claim& other) { return one.giver < other.giver; };
  do {
    Claims claims;
    int told = 0;
    for (const Claim& one : order) told += claims.claim("x", one.folder, one.giver).other >= 0 ? 1 : 0;
    EXPECT_EQ(told, 1);
    for (const Claim& one : order) {
      const auto again = claims.claim("x", one.folder, one.giver);
      EXPECT_EQ(again.granted, one.folder);
      EXPECT_FALSE(again.first);
    }
    EXPECT_TRUE(claims.is_refused("x", 2));
  } while (std::next_permutation(order.begin(), order.end(), by_giver));
}

TEST(CoreClaims, OnesOwnPathMayBecomeAFolder) {
  Claims claims;
  EXPECT_TRUE(claims.claim("x", false, 1).granted);
  EXPECT_TRUE(claims.claim("x", true, 1).granted);
  EXPECT_EQ(claims.claim("x", true, 2).other, -1);
}

}  // namespace
}  // namespace argosy
