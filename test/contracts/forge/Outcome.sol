// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice What the rules say about whether a call succeeds.
enum Expected {
    FAILURE,
    EITHER,
    SUCCESS
}

/// @notice What happens to the money of one account.
enum Kind {
    /// Credit is added.
    GETS,
    /// What is to be burnt in the account's name grows.
    FORFEITS,
    /// Credit is taken.
    SPENDS,
    /// Credit is taken first, and tokens for the rest.
    PAYS,
    /// Tokens alone are taken.
    GIVES,
    /// Tokens arrive.
    RECEIVES,
    /// All that the account forfeited is burnt.
    BURNS
}

struct Line {
    Kind kind;
    address account;
    uint256 amount;
}

/// @notice Everything that a successful call must change. An account without a line must stay as it is.
struct Outcome {
    Line[] lines;
    uint256 count;
    /// Hash of the job afterwards; zero if the call takes no job.
    bytes32 job;
}

using Outcomes for Outcome global;

/// @notice Writes the lines of an outcome.
library Outcomes {
    uint256 private constant MOST_LINES = 8;

    function none() internal pure returns (Outcome memory outcome) {
        outcome.lines = new Line[](MOST_LINES);
    }

    function gets(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.GETS, account, amount);
    }

    function forfeits(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.FORFEITS, account, amount);
    }

    function spends(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.SPENDS, account, amount);
    }

    function pays(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.PAYS, account, amount);
    }

    function gives(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.GIVES, account, amount);
    }

    function receives(Outcome memory outcome, address account, uint256 amount) internal pure {
        _add(outcome, Kind.RECEIVES, account, amount);
    }

    function burns(Outcome memory outcome, address account) internal pure {
        _add(outcome, Kind.BURNS, account, 0);
    }

    function _add(Outcome memory outcome, Kind kind, address account, uint256 amount) private pure {
        outcome.lines[outcome.count] = Line(kind, account, amount);
        ++outcome.count;
    }
}
