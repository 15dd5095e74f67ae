// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What the escrow keeps for each account
/// @notice The part of `IEmethCore` that is about accounts and not about one job: credit, what was burnt, who may take jobs, and who has
/// which role. Its errors and events are in `IEmethCore`. Amounts are in wei of the token.
interface IEmethAccounts {
    /// @notice Turns the caller's tokens into credit of `account`, to which requests, deposits and bonds are charged first.
    /// @param account Who gets the credit; it need not be the caller.
    function deposit(address account, uint256 amount) external;

    /// @notice Turns the caller's credit into tokens of `to`. No pause and no administrator can stop it.
    function withdraw(address to, uint256 amount) external;

    /// @notice `withdraw` for an account without coin for gas: anybody brings its signature, and gets `tip` as credit.
    /// @param amount Tokens that go to `to`; the tip comes on top of it, out of the same credit.
    /// @param deadline Unix seconds until which the signature is good.
    /// @param signature EIP-712 over `Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)`
    /// with the account's next nonce.
    function withdrawWithSig(address account, address to, uint256 amount, uint256 tip, uint256 deadline, bytes calldata signature)
        external;

    /// @notice Anybody burns the tokens that an account has forfeited. It changes nothing for the account.
    function burn(address account) external;

    /// @notice The administrator names another registry, or none. The new one must report its nodes again, by its `sync`. There can be
    /// 255 registries.
    function setRegistry(address next) external;

    /// @notice The registry says whether a node may take jobs, as often as that changes. Jobs the node holds go on.
    function setActive(address node, bool active) external;

    /// @notice The role whose holders judge results.
    function VERIFIER_ROLE() external view returns (bytes32);
    /// @notice The role whose holders may pause.
    function PAUSER_ROLE() external view returns (bytes32);
    /// @notice The token everything is paid in.
    function token() external view returns (IERC20);
    /// @notice What an account may withdraw or pay with.
    function credit(address account) external view returns (uint256);
    /// @notice Penalties and burnt parts of fees that are booked in an account's name and whose tokens `burn` has not burnt yet.
    function forfeited(address account) external view returns (uint256);
    /// @notice Whether a node may take jobs: the present registry said so, or there is none.
    function isActive(address node) external view returns (bool);
    /// @notice What says which nodes may take jobs; zero: any account may.
    function registry() external view returns (address);
    /// @notice The present registry's number; it rises with each `setRegistry`, and what an earlier one said of a node is void.
    function registryNumber() external view returns (uint8);
    /// @notice What all verified jobs of a slot burnt; `slot` is the Unix time in days.
    function slotBurnt(uint256 slot) external view returns (uint256);
    /// @notice The part of it that one node's jobs burnt.
    function slotBurntBy(uint256 slot, address node) external view returns (uint256);
}
