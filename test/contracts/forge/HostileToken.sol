// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token that misbehaves in one way at a time.
contract HostileToken is ERC20("Hostile", "BAD") {
    enum Mode {
        KIND,
        TAKES_A_FEE,
        ANSWERS_FALSE,
        /// Moves the amount and returns nothing, as a well-known token does: that is no misbehaviour and must work.
        RETURNS_NOTHING,
        BLOCKS,
        REENTERS,
        /// Calls back instead of moving the amount, as if the transfer of the inner call were this one.
        REENTERS_INSTEAD
    }

    address private constant COLLECTOR = address(0xFEE);

    Mode public mode;
    address public target;
    bytes public data;
    /// @notice Whether the last call from within a transfer succeeded.
    bool public reentered;
    /// @notice How many of them succeeded.
    uint256 public entered;
    bool private _isInside;

    function misbehave(Mode mode_, address target_, bytes calldata data_) external {
        (mode, target, data, reentered) = (mode_, target_, data_, false);
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function burn(uint256 amount) external {
        _burn(msg.sender, amount);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (mode == Mode.ANSWERS_FALSE) return false;
        return _answer(super.transfer(to, amount));
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (mode == Mode.ANSWERS_FALSE) return false;
        if (mode == Mode.REENTERS_INSTEAD && !_isInside) return _callBack();
        return _answer(super.transferFrom(from, to, amount));
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(mode != Mode.BLOCKS, "blocked");
        if (mode == Mode.REENTERS && !_isInside) _callBack();
        bool takesFee = mode == Mode.TAKES_A_FEE && from != address(0) && to != address(0) && amount > 0;
        if (!takesFee) return super._update(from, to, amount);
        // The receiver pays it.
        super._update(from, to, amount - 1);
        super._update(from, COLLECTOR, 1);
    }

    /// @dev Within the inner call the token behaves; otherwise it would call itself forever.
    function _callBack() private returns (bool) {
        _isInside = true;
        (reentered,) = target.call(data);
        if (reentered) ++entered;
        _isInside = false;
        return true;
    }

    function _answer(bool done) private view returns (bool) {
        if (mode != Mode.RETURNS_NOTHING) return done;
        assembly {
            return(0, 0)
        }
    }
}
