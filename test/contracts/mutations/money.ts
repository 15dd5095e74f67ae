import { mutationsOf } from './mutation';

export const moneyMutations = [
  ...mutationsOf('CreditBook', {
    'no registry means that nobody may': {
      find: 'registry == address(0) || _accounts[node].activeIn() == registryNumber',
      replace: '_accounts[node].activeIn() == registryNumber',
      why: 'An escrow without a registry would be useless.',
    },
    'the word of an earlier registry counts': {
      find: '_accounts[node].activeIn() == registryNumber',
      replace: '_accounts[node].activeIn() != 0',
      why: 'A registry that was replaced would keep its nodes in.',
    },
    'anybody says who is active': {
      find: 'if (msg.sender != registry) revert EmethCore_NotRegistry(msg.sender);',
      replace: '',
      why: 'The registry would mean nothing.',
    },
    'a node stays active': {
      find: 'setActiveIn(active ? registryNumber : 0)',
      replace: 'setActiveIn(registryNumber)',
      why: 'A node without a stake could take jobs.',
    },
    'deposit credits the payer': {
      find: '_accounts[account].owe(amount);\n        emit Deposited',
      replace: '_accounts[msg.sender].owe(amount);\n        emit Deposited',
      why: 'Nobody could pay for another.',
    },
    'deposit takes any amount': {
      find: 'if (amount > type(uint120).max) revert EmethCore_TooMuchCredit(amount);',
      replace: '',
      why: 'An amount that wraps the word around would be taken for credit.',
    },
    'deposit can be entered from within a transfer': {
      find: 'function deposit(address account, uint256 amount) external nonReentrant {',
      replace: 'function deposit(address account, uint256 amount) external {',
      why: 'One transfer of a token that calls back could pay for two.',
    },
    'withdraw can be entered from within a transfer': {
      find: 'function withdraw(address to, uint256 amount) external nonReentrant {',
      replace: 'function withdraw(address to, uint256 amount) external {',
      why: 'A balance could be read while money is on its way.',
    },
    'withdraw pays the caller': {
      find: 'emit Withdrawn(msg.sender, to, amount);\n        // Interaction.\n        token.safeTransfer(to, amount);',
      replace:
        'emit Withdrawn(msg.sender, to, amount);\n        // Interaction.\n        token.safeTransfer(msg.sender, amount);',
      why: 'A cold wallet would get nothing.',
    },
    'withdraw trusts a token that says no': {
      find: 'emit Withdrawn(msg.sender, to, amount);\n        // Interaction.\n        token.safeTransfer(to, amount);',
      replace: 'emit Withdrawn(msg.sender, to, amount);\n        // Interaction.\n        token.transfer(to, amount);',
      why: 'The credit would be gone and no token come.',
    },
    'withdrawWithSig refuses the last second': {
      find: 'if (block.timestamp > deadline)',
      replace: 'if (block.timestamp >= deadline)',
      why: 'The bound would not be the one that was signed.',
    },
    'withdrawWithSig works for ever': {
      find: 'if (block.timestamp > deadline) revert EmethCore_SignatureExpired(deadline);',
      replace: '',
      why: 'A forgotten signature could move money years later.',
    },
    'withdrawWithSig works again and again': {
      find: '_useNonce(account)',
      replace: 'nonces(account)',
      why: 'One signature could empty an account.',
    },
    'withdrawWithSig takes any signature': {
      find: 'if (signer != account) revert EmethCore_WrongSignature(signer, account);',
      replace: '',
      why: 'Anybody could empty any account.',
    },
    'withdrawWithSig pays whom the relay names': {
      find: 'abi.encode(WITHDRAWAL, account, to, amount',
      replace: 'abi.encode(WITHDRAWAL, account, account, amount',
      why: 'A relay could send the money to itself.',
    },
    'withdrawWithSig tips out of nothing': {
      find: '_spend(account, amount + tip);',
      replace: '_spend(account, amount);',
      why: 'The escrow would owe more than it has.',
    },
    'withdrawWithSig tips the account itself': {
      find: '_owe(msg.sender, tip);',
      replace: '_owe(account, tip);',
      why: 'Nobody would bring a signature.',
    },
    'withdrawWithSig can be entered from within a transfer': {
      find: 'bytes calldata signature)\n        external\n        nonReentrant\n',
      replace: 'bytes calldata signature)\n        external\n',
      why: 'A balance could be read while money is on its way.',
    },
    'burn burns the same again': {
      find: '_accounts[account].clearForfeited();',
      replace: '',
      why: 'Anybody could burn the money of others.',
    },
    'burn burns nothing': {
      find: 'ERC20Burnable(address(token)).burn(amount);',
      replace: '',
      why: 'The tokens would stay in the escrow for ever.',
    },
    'burn tells of nothing': {
      find: 'emit Burnt(account, amount);',
      replace: 'emit Burnt(account, 0);',
      why: 'Whoever reads the log would book wrong amounts.',
    },
    'burn can be entered from within a transfer': {
      find: 'function burn(address account) external nonReentrant {',
      replace: 'function burn(address account) external {',
      why: 'A balance could be read while money is on its way.',
    },
    'credit as high as the price counts as too low': {
      find: 'owned < amount ? owned : amount',
      replace: 'owned <= amount ? owned : amount',
      why: 'None.',
      equivalent: 'The smaller of two equal numbers is either.',
    },
    'credit is used and kept': {
      find: '_accounts[account].spend(fromCredit);',
      replace: '',
      why: 'The escrow would owe more than it has.',
    },
    'credit is used and the whole is taken': {
      find: 'ExactTransfer.pull(token, account, amount - fromCredit)',
      replace: 'ExactTransfer.pull(token, account, amount)',
      why: 'Whoever has credit would pay twice.',
    },
    'use of credit is told as the whole price': {
      find: 'emit CreditUsed(account, fromCredit);',
      replace: 'emit CreditUsed(account, amount);',
      why: 'Whoever reads the log would book wrong amounts.',
    },
    'what is lost is nowhere booked': {
      find: '_accounts[account].oweAndForfeit(owed, lost);',
      replace: '_accounts[account].oweAndForfeit(owed, 0);',
      why: 'The tokens would stay in the escrow for ever.',
    },
    'a new verifier is none': {
      find: 'if (role == VERIFIER_ROLE) _accounts[account].setVerifier(true);',
      replace: '',
      why: 'Nobody could judge.',
    },
    'every role makes a verifier': {
      find: 'if (role == VERIFIER_ROLE) _accounts[account].setVerifier(true);',
      replace: '_accounts[account].setVerifier(true);',
      why: 'The administrator and whoever may pause could judge.',
    },
    'a dismissed verifier goes on': {
      find: 'if (role == VERIFIER_ROLE) _accounts[account].setVerifier(false);',
      replace: '',
      why: 'A stolen key could judge for ever.',
    },
    'another role less makes no verifier': {
      find: 'if (role == VERIFIER_ROLE) _accounts[account].setVerifier(false);',
      replace: '_accounts[account].setVerifier(false);',
      why: 'A verifier that may no longer pause could no longer judge.',
    },
    'the last of a credit cannot be spent': {
      find: 'if (amount > owned)',
      replace: 'if (amount >= owned)',
      why: 'No account could ever be emptied.',
    },
    'what is spent is kept': {
      find: '_accounts[account].spend(amount);',
      replace: '',
      why: 'Anybody could empty the escrow.',
    },
  }),
  ...mutationsOf('ExactTransfer', {
    'a token may keep a part': {
      find: 'if (received < amount) revert TransferFellShort(received, amount);',
      replace: '',
      why: 'The escrow would owe more than it has.',
    },
    'exactly the amount is too little': {
      find: 'if (received < amount)',
      replace: 'if (received <= amount)',
      why: 'Nobody could pay.',
    },
    'what was there before counts': {
      find: 'token.balanceOf(address(this)) - before;',
      replace: 'token.balanceOf(address(this));',
      why: 'A token that keeps a part would be believed.',
      leftToInvariants: true,
    },
  }),
];
