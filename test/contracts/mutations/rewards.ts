import { mutationsOf } from './mutation';

export const rewardMutations = [
  ...mutationsOf('RewardPool', {
    'a job brings more than its share': {
      find: 'SHARE_BPS = 8_000',
      replace: 'SHARE_BPS = 10_001',
      why: 'Paying oneself for work that nobody wanted would pay.',
    },
    'a job brings a little more': {
      find: 'SHARE_BPS = 8_000',
      replace: 'SHARE_BPS = 8_001',
      why: 'The share would not be the one that is documented.',
    },
    'the share does not bound': {
      find: 'shared < bound ? shared : bound',
      replace: 'shared < bound ? bound : shared',
      why: 'A slot could emit more than it has.',
    },
    'the emission does not bound': {
      find: 'shared < bound ? shared : bound',
      replace: 'bound',
      why: 'A slot could emit more than it has.',
    },
    'the emission is another': {
      find: 'BASE = 12_000 ether * 24',
      replace: 'BASE = 12_001 ether * 24',
      why: 'The emission would not be the one that is documented.',
    },
    'the emission falls faster': {
      find: 'YEARLY_FALL = 600 ether * 24',
      replace: 'YEARLY_FALL = 601 ether * 24',
      why: 'The emission would not be the one that is documented.',
    },
    'the emission falls by leap years': {
      find: '(slot - firstSlot) / 365',
      replace: '(slot - firstSlot) / 366',
      why: 'The emission would not be the one that is documented.',
    },
    'the emission falls by the step': {
      find: 'YEARLY_FALL * (slot - firstSlot) / 365',
      replace: 'YEARLY_FALL * ((slot - firstSlot) / 365)',
      why: 'The emission would not be the one that is documented.',
    },
    'the first slot emits nothing': {
      find: 'if (slot < firstSlot) return 0;',
      replace: 'if (slot <= firstSlot) return 0;',
      why: 'The first day would bring nobody a reward.',
    },
    'the emission never ends': {
      find: 'fall < BASE ? BASE - fall : 0',
      replace: 'BASE - fall',
      why: 'After twenty years every claim would fail.',
    },
    'an open slot pays': {
      find: 'slot >= block.timestamp / SLOT',
      replace: 'slot > block.timestamp / SLOT',
      why: 'The first to claim on a day would get more than its share.',
    },
    'a slot pays twice': {
      find: '_claimed[msg.sender][slot >> 8] |= 1 << (slot & 0xff);',
      replace: '',
      why: 'A node could mint again and again.',
    },
    'a claim forgets the others': {
      find: '_claimed[msg.sender][slot >> 8] |= 1 << (slot & 0xff);',
      replace: '_claimed[msg.sender][slot >> 8] = 1 << (slot & 0xff);',
      why: 'A node could mint two slots in turn.',
    },
    'the pool forgets what it minted': {
      find: 'minted += part;',
      replace: '',
      why: 'The cap of the pool would mean nothing.',
    },
    'the cap refuses instead of cutting': {
      find: 'return earned < cap - minted ? earned : cap - minted;',
      replace: 'return earned;',
      why: 'The cap of the pool would mean nothing.',
    },
    'the reward goes to the node': {
      find: 'payout == address(0) ? msg.sender : payout',
      replace: 'msg.sender',
      why: 'The reward would lie on a key that is online.',
    },
    'an unregistered node loses its reward': {
      find: 'payout == address(0) ? msg.sender : payout',
      replace: 'payout',
      why: 'It could not be minted.',
    },
    'a claim of nothing works': {
      find: 'if (amount == 0) revert RewardPool_NothingToClaim(msg.sender);',
      replace: '',
      why: 'A node would pay gas for nothing.',
    },
    'a claim tells of the sum': {
      find: 'emit SlotClaimed(msg.sender, slot, to, part);',
      replace: 'emit SlotClaimed(msg.sender, slot, to, amount);',
      why: 'Whoever reads the log would book wrong amounts.',
    },
    'shares are of another slot': {
      find: 'emission(slot) * burnt / core.slotBurnt(slot)',
      replace: 'emission(firstSlot) * burnt / core.slotBurnt(slot)',
      why: 'The emission would not fall.',
    },
    'incentives leave the last slot out': {
      find: 'for (uint256 slot = fromSlot; slot < toSlot; ++slot)',
      replace: 'for (uint256 slot = fromSlot; slot + 1 < toSlot; ++slot)',
      why: 'A node would not claim what waits for it.',
    },
    'incentives leave disputed deposits out': {
      find: ' || job.state == IEmethCore.State.SUBMITTED\n            || job.state == IEmethCore.State.DISPUTED;',
      replace: ' || job.state == IEmethCore.State.SUBMITTED;',
      why: 'A node would be told less than it has.',
    },
    'incentives count the deposits of others': {
      find: 'holds && job.node == node ? job.fee : 0',
      replace: 'holds ? job.fee : 0',
      why: 'A node would be told more than it has.',
    },
  }),
  ...mutationsOf('EmethToken', {
    'the first supply may not be the cap': {
      find: 'if (supply > cap_ ||',
      replace: 'if (supply >= cap_ ||',
      why: 'The bound would not be the one that the error names.',
    },
    'the first supply is not bounded': {
      find: 'supply > cap_ || ',
      replace: '',
      why: 'The cap would mean nothing.',
    },
    'the cap is not bounded': {
      find: ' || cap_ > type(uint120).max',
      replace: '',
      why: "Amounts would not fit the escrow's books.",
    },
    'the highest cap is too high': {
      find: 'cap_ > type(uint120).max',
      replace: 'cap_ >= type(uint120).max',
      why: 'The bound would not be the one that the books have.',
    },
    'anybody names the pool': {
      find: 'if (msg.sender != deployer) revert EmethToken_NotDeployer(msg.sender);',
      replace: '',
      why: 'Anybody could mint.',
    },
    'the pool may be named again': {
      find: 'deployer = address(0);',
      replace: '',
      why: 'The deployer could mint at any time.',
    },
    'anybody mints': {
      find: 'if (msg.sender != rewardPool) revert EmethToken_NotRewardPool(msg.sender);',
      replace: '',
      why: 'Anybody could mint.',
    },
    'the cap is not reached': {
      find: 'if (totalSupply() + amount > cap)',
      replace: 'if (totalSupply() + amount >= cap)',
      why: 'The last reward could not be minted.',
    },
    'the cap does not bound': {
      find: 'if (totalSupply() + amount > cap) revert EmethToken_CapExceeded(totalSupply(), amount, cap);',
      replace: '',
      why: 'The cap would mean nothing.',
    },
  }),
];
