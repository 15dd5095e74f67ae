// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEmethCore} from "./IEmethCore.sol";

/// @title Who takes jobs, for whom, and with what
/// @notice An organisation registers nodes, with a stake for each, and may take the stake out again a while after it has
/// deactivated the node. Nobody else can touch it: there is no slashing here, penalties come out of the deposits of jobs. Stakes are in wei
/// of the escrow's token, times in Unix seconds.
///
///     (none) --register--> ACTIVE --deactivate--> UNBONDING --withdrawStake--> (none)
///                             ^-----reactivate------'
interface INodeRegistry {
    /// @notice The states of a node; their numbers are part of the interface.
    enum Status {
        NONE,
        ACTIVE,
        UNBONDING
    }

    /// @notice Who answers for nodes. Whoever owns it is the operator of all its nodes.
    struct Organisation {
        address owner;
        /// Who may take it over, if the owner has named somebody.
        address nextOwner;
        string name;
    }

    /// @notice A node as the views show it.
    struct Node {
        address node;
        Status status;
        /// The owner of its organisation: who manages it and gets its stake back.
        address operator;
        bytes32 organisation;
        /// Where its rewards go.
        address payout;
        /// Where they will go, once `payoutOpensAt` (Unix seconds) has come and that account has confirmed; zero: no change is due.
        address nextPayout;
        uint40 payoutOpensAt;
        /// sha256 of the document at `capabilityUri` that says what the node has to offer.
        bytes32 capabilityHash;
        string capabilityUri;
        uint32 computeUnits;
        uint96 stake;
        /// Unix seconds from which the stake may be taken out; zero while active.
        uint40 unbondsAt;
    }

    /// @notice What a node signs to let itself be registered.
    struct Enrolment {
        address node;
        bytes32 organisation;
        address payout;
        bytes32 capabilityHash;
        string capabilityUri;
        uint32 computeUnits;
        /// Unix seconds until which the signature is good.
        uint256 deadline;
    }

    /// @notice A name needs 1 to 64 bytes; this one has `length`.
    error NodeRegistry_WrongName(uint256 length);
    /// @notice The name is taken.
    error NodeRegistry_OrganisationExists(bytes32 organisation);
    /// @notice Only the owner of the organisation may do this.
    error NodeRegistry_NotOwner(bytes32 organisation, address caller);
    /// @notice Only whom the owner has named may take the organisation over.
    error NodeRegistry_NotNextOwner(bytes32 organisation, address caller);
    /// @notice Only the owner of the node's organisation may do this, or in some calls also the node or its payout wallet.
    error NodeRegistry_NotOperator(address node, address caller);
    /// @notice Only the proposed wallet may confirm.
    error NodeRegistry_NotNextPayout(address node, address caller);
    /// @notice The node is not in the status that the call needs.
    error NodeRegistry_WrongStatus(address node, Status status, Status needed);
    /// @notice The stake is below the least, in wei.
    error NodeRegistry_StakeTooLow(uint256 stake, uint256 minStake);
    /// @notice The payout wallet of a node may not be the zero address.
    error NodeRegistry_NoPayout(address node);
    /// @notice A node that comes back must name the payout wallet it had, `payout`.
    error NodeRegistry_OtherPayout(address node, address payout);
    /// @notice The capability URI has more than 256 bytes.
    error NodeRegistry_UriTooLong(uint256 length);
    /// @notice The signature was good until `deadline`.
    error NodeRegistry_SignatureExpired(uint256 deadline);
    /// @notice The signature is another's than the node's, or over something else or another nonce.
    error NodeRegistry_WrongSignature(address signer, address node);
    /// @notice The delay is not over; the call works from `opensAt` on.
    error NodeRegistry_TooEarly(address node, uint40 opensAt);

    /// @notice An organisation was founded; `organisation` is keccak256 of its name.
    event OrganisationCreated(bytes32 indexed organisation, address indexed owner, string name);
    /// @notice The owner named who may take the organisation over; zero: nobody any more.
    event OrganisationOffered(bytes32 indexed organisation, address indexed nextOwner);
    /// @notice The organisation, with all its nodes, has another owner.
    event OrganisationTaken(bytes32 indexed organisation, address indexed owner);
    /// @notice A node is in service, for the first time or again; its stake and capability are in the events after this.
    event NodeRegistered(address indexed node, bytes32 indexed organisation, address indexed operator, address payout);
    /// @notice What a node has to offer was said anew.
    /// @param capabilityHash sha256 of the document at `capabilityUri`.
    /// @param computeUnits What it can compute, by its own account.
    event CapabilityChanged(address indexed node, bytes32 capabilityHash, string capabilityUri, uint32 computeUnits);
    /// @notice A node's stake rose by `amount`, in wei.
    event StakeAdded(address indexed node, address indexed from, uint256 amount);
    /// @notice The whole stake of a node, in wei, went to its operator; the node has left.
    event StakeWithdrawn(address indexed node, address indexed to, uint256 amount);
    /// @notice A node takes no more jobs; its stake may be taken out from `unbondsAt` on.
    event NodeDeactivated(address indexed node, uint40 unbondsAt);
    /// @notice An unbonding node is back in service.
    event NodeReactivated(address indexed node);
    /// @notice The operator named another payout wallet, which may confirm from `opensAt` on.
    event PayoutProposed(address indexed node, address indexed payout, uint40 opensAt);
    /// @notice The proposed wallet confirmed; rewards go there from now on.
    event PayoutChanged(address indexed node, address indexed payout);
    /// @notice A proposed change of the payout wallet is off.
    event PayoutChangeCanceled(address indexed node);

    /// @notice Anybody founds an organisation and owns it; names are unique, first come, first served.
    /// @param name 1 to 64 bytes.
    /// @return organisation keccak256 of the name.
    function createOrganisation(string calldata name) external returns (bytes32 organisation);

    /// @notice The owner names who may take the organisation over, with all its nodes and their stakes; zero to take
    /// that back.
    function offerOrganisation(bytes32 organisation, address nextOwner) external;

    /// @notice The named account takes the organisation over. By its call it proves that somebody has its key.
    function takeOrganisation(bytes32 organisation) external;

    /// @notice The owner of an organisation registers a node and pays its stake. A node that is not the owner itself must have signed
    /// for this very owner. One that was registered before keeps its payout wallet, to be changed in two steps as ever.
    /// @param stake In wei of the escrow's token, at least `minStake`.
    /// @param signature EIP-712 over `Enrolment(address node,address operator,bytes32 organisation,address payout,bytes32 capabilityHash,string
    /// capabilityUri,uint32 computeUnits,uint256 nonce,uint256 deadline)` with the node's next nonce; empty if the node itself calls.
    function register(Enrolment calldata enrolment, uint96 stake, bytes calldata signature) external;

    /// @notice Anybody adds to a node's stake; it then belongs to the node's operator.
    /// @param amount In wei.
    function addStake(address node, uint96 amount) external;

    /// @notice The node or its operator says what the node has to offer.
    /// @param capabilityHash sha256 of the document at `capabilityUri`, which has at most 256 bytes.
    function setCapability(address node, bytes32 capabilityHash, string calldata capabilityUri, uint32 computeUnits) external;

    /// @notice The operator names another payout wallet. It counts once two days are over and the wallet has confirmed.
    function proposePayout(address node, address payout) external;

    /// @notice The proposed wallet confirms the change. By its call it proves that somebody has its key.
    function confirmPayout(address node) external;

    /// @notice The operator or the present payout wallet calls a change off.
    function cancelPayoutChange(address node) external;

    /// @notice The node or its operator takes it out of service; its running jobs go on. The stake may be taken out a week later.
    function deactivate(address node) external;

    /// @notice The operator puts an unbonding node back into service.
    function reactivate(address node) external;

    /// @notice The operator takes the whole stake out, a week after the node was deactivated; with that the node leaves.
    function withdrawStake(address node) external;

    /// @notice Anybody tells the escrow again whether a node is active, as is needed after the escrow was given this registry.
    function sync(address node) external;

    /// @notice The escrow that is told who is active.
    function core() external view returns (IEmethCore);
    /// @notice The token stakes are paid in.
    function token() external view returns (IERC20);
    /// @notice Least stake of a node, in wei.
    function minStake() external view returns (uint96);
    /// @notice An organisation by keccak256 of its name; all zero if there is none.
    function organisationOf(bytes32 organisation) external view returns (Organisation memory);
    /// @notice A node as it is now; status NONE if it never was here or has left.
    function nodeOf(address node) external view returns (Node memory);
    /// @notice Where a node's rewards go, also after it has left; zero for one that was never registered.
    function payoutOf(address node) external view returns (address);
    /// @notice How many nodes have ever been registered, those that have left included.
    function nodeCount() external view returns (uint256);
    /// @notice Nodes in the order of their first registration, `count` at most; those that have left show status NONE.
    function nodesFrom(uint256 index, uint256 count) external view returns (Node[] memory);
}
