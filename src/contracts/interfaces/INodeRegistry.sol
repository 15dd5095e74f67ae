// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Who takes jobs, for whom, and with what
/// @notice An organisation registers nodes, with a stake for each, and may take the stake out again a while after it has
/// deactivated the node. Nobody else can touch it: there is no slashing here, penalties come out of the deposits of jobs.
///
///     (none) --register--> ACTIVE --deactivate--> UNBONDING --withdrawStake--> (none)
///                             ^-----reactivate------'
interface INodeRegistry {
    enum Status {
        NONE,
        ACTIVE,
        UNBONDING
    }

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

    error NodeRegistry_WrongName(uint256 length);
    error NodeRegistry_OrganisationExists(bytes32 organisation);
    error NodeRegistry_NotOwner(bytes32 organisation, address caller);
    error NodeRegistry_NotNextOwner(bytes32 organisation, address caller);
    error NodeRegistry_NotOperator(address node, address caller);
    error NodeRegistry_NotNextPayout(address node, address caller);
    error NodeRegistry_WrongStatus(address node, Status status, Status needed);
    error NodeRegistry_StakeTooLow(uint256 stake, uint256 minStake);
    error NodeRegistry_NoPayout(address node);
    error NodeRegistry_OtherPayout(address node, address payout);
    error NodeRegistry_UriTooLong(uint256 length);
    error NodeRegistry_SignatureExpired(uint256 deadline);
    error NodeRegistry_WrongSignature(address signer, address node);
    error NodeRegistry_TooEarly(address node, uint40 opensAt);

    event OrganisationCreated(bytes32 indexed organisation, address indexed owner, string name);
    event OrganisationOffered(bytes32 indexed organisation, address indexed nextOwner);
    event OrganisationTaken(bytes32 indexed organisation, address indexed owner);
    event NodeRegistered(address indexed node, bytes32 indexed organisation, address indexed operator, address payout);
    event CapabilityChanged(address indexed node, bytes32 capabilityHash, string capabilityUri, uint32 computeUnits);
    event StakeAdded(address indexed node, address indexed from, uint256 amount);
    event StakeWithdrawn(address indexed node, address indexed to, uint256 amount);
    event NodeDeactivated(address indexed node, uint40 unbondsAt);
    event NodeReactivated(address indexed node);
    event PayoutProposed(address indexed node, address indexed payout, uint40 opensAt);
    event PayoutChanged(address indexed node, address indexed payout);
    event PayoutChangeCanceled(address indexed node);

    /// @notice Founds an organisation; names are unique, first come, first served.
    /// @return organisation keccak256 of the name.
    function createOrganisation(string calldata name) external returns (bytes32 organisation);

    /// @notice The owner names who may take the organisation over, with all its nodes and their stakes.
    function offerOrganisation(bytes32 organisation, address nextOwner) external;

    /// @notice The named account takes it over.
    function takeOrganisation(bytes32 organisation) external;

    /// @notice The owner of an organisation registers a node and pays its stake. A node that is not the owner itself must have signed
    /// for this very owner. One that was registered before keeps its payout wallet, to be changed in two steps as ever.
    /// @param stake In wei of the escrow's token, at least `minStake`.
    /// @param signature EIP-712 over `Enrolment(address node,address operator,bytes32 organisation,address payout,bytes32 capabilityHash,string
    /// capabilityUri,uint32 computeUnits,uint256 nonce,uint256 deadline)` with the node's next nonce; empty if the node itself calls.
    function register(Enrolment calldata enrolment, uint96 stake, bytes calldata signature) external;

    /// @notice Anybody adds to a node's stake; it then belongs to the node's operator.
    function addStake(address node, uint96 amount) external;

    /// @notice The node or its operator says what the node has to offer.
    function setCapability(address node, bytes32 capabilityHash, string calldata capabilityUri, uint32 computeUnits) external;

    /// @notice The operator names another payout wallet. It counts once the delay is over and the wallet has confirmed.
    function proposePayout(address node, address payout) external;

    /// @notice The proposed wallet confirms that it is somebody's.
    function confirmPayout(address node) external;

    /// @notice The operator or the present payout wallet calls a change off.
    function cancelPayoutChange(address node) external;

    /// @notice The node or its operator takes it out of service; its running jobs go on.
    function deactivate(address node) external;

    /// @notice The operator puts an unbonding node back into service.
    function reactivate(address node) external;

    /// @notice The operator takes the stake out, some time after the node was deactivated.
    function withdrawStake(address node) external;

    /// @notice Anybody tells the escrow again whether a node is active, as is needed after the escrow was given this registry.
    function sync(address node) external;

    /// @notice Least stake of a node, in wei.
    function minStake() external view returns (uint96);
    function organisationOf(bytes32 organisation) external view returns (Organisation memory);
    function nodeOf(address node) external view returns (Node memory);
    /// @notice Where a node's rewards go, also after it has left; zero for one that was never registered.
    function payoutOf(address node) external view returns (address);
    function nodeCount() external view returns (uint256);
    /// @notice Nodes in the order of their first registration, `count` at most; those that have left show status NONE.
    function nodesFrom(uint256 index, uint256 count) external view returns (Node[] memory);
}
