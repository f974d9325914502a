"""Deep Q-learning balances a pole on a cart: over 100 new episodes, at least 475 of 500 steps on average.

    python examples/dqn.py                           the cart and pole of Barto, Sutton & Anderson 1983
    python examples/dqn.py --plain                   without double Q-learning: the target network chooses and judges
    python examples/dqn.py --episodes 5 --watch      ... and show one episode as text at the end

Q(s, a), the sum of discounted rewards to come after action a in state s, is a network.  It learns Q(s, a) = r + gamma max Q'(s', .)
from steps drawn at random from a memory (Mnih et al. 2015), where Q' is a copy of it that follows slowly; by double Q-learning
(van Hasselt et al. 2015) the network itself chooses the action that Q' judges.
"""
import argparse
import math
import sys
import time
from collections import deque

import numpy as np
from digits import positive
from text_training import command, natural, share

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F

# ---- the game ------------------------------------------------------------------------------------------------------


class CartPole:
    """A pole hinged to a cart on a track, to be kept upright by pushing the cart left (0) or right (1) every 0.02 s.

    The state is the cart's place (m) and speed, the pole's angle (rad) and its speed.  Every step earns 1; the game is lost
    when the pole leans by more than 12 degrees or the cart is 2.4 m off, and is broken off after `limit` steps.
    """
    gravity, cart, pole, half_length, push, tau = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02         # m/s^2, kg, kg, m, N, s
    far, steep = 2.4, math.radians(12)

    def __init__(self, rng, limit=500):
        self.rng, self.limit = rng, limit

    def reset(self):
        """A new episode: the state, near the middle and near rest."""
        self.state, self.steps = self.rng.uniform(-0.05, 0.05, 4), 0
        return self.state.copy()

    def accelerations(self, action):
        """Of the cart (m/s^2) and of the angle (rad/s^2), without friction: the equations of Barto, Sutton & Anderson's appendix."""
        _, _, angle, turning = self.state
        force, mass, moment = self.push if action else -self.push, self.cart + self.pole, self.pole * self.half_length
        sine, cosine = math.sin(angle), math.cos(angle)
        drive = (force + moment * turning ** 2 * sine) / mass
        bending = (self.gravity * sine - cosine * drive) / (self.half_length * (4 / 3 - self.pole * cosine ** 2 / mass))
        return drive - moment * bending * cosine / mass, bending

    def step(self, action):
        """(state, reward, lost, over): over is True for lost games and for those that reach the limit. By Euler's method."""
        acceleration, bending = self.accelerations(action)
        x, speed, angle, turning = self.state
        self.state = np.array([x + self.tau * speed, speed + self.tau * acceleration, angle + self.tau * turning, turning + self.tau * bending])
        self.steps += 1
        lost = bool(abs(self.state[0]) > self.far or abs(self.state[2]) > self.steep)
        return self.state.copy(), 1.0, lost, lost or self.steps >= self.limit

    def drawn(self):
        """The state as a line of text."""
        place = round((self.state[0] + self.far) / (2 * self.far) * 60)
        lean = "|" if abs(self.state[2]) < math.radians(2) else "/" if self.state[2] > 0 else "\\"
        return f"{' ' * place}[{lean}]{' ' * (62 - place)}{math.degrees(self.state[2]):+6.1f} degrees"


# ---- memory --------------------------------------------------------------------------------------------------------


class Memory:
    """The last `size` steps (state, action, reward, next state, lost); the oldest gives way to a new one."""

    def __init__(self, size, axes=4):
        self.states, self.nexts = np.zeros((size, axes), np.float32), np.zeros((size, axes), np.float32)
        self.actions, self.rewards, self.lost = np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.size, self.count = size, 0              # count: steps ever put in

    def __len__(self):
        return min(self.count, self.size)

    def put(self, state, action, reward, after, lost):
        i = self.count % self.size
        self.states[i], self.actions[i], self.rewards[i], self.nexts[i], self.lost[i] = state, action, reward, after, lost
        self.count += 1

    def draw(self, n, rng):
        """`n` steps at random, with repeats: five tensors."""
        rows = rng.integers(0, len(self), n)
        return [torch.from_numpy(a[rows]) for a in (self.states, self.actions, self.rewards, self.nexts, self.lost)]


# ---- learning ------------------------------------------------------------------------------------------------------

class QNetwork(nn.Sequential):
    """States (N, 4) -> Q of both actions (N, 2)."""

    def __init__(self, hidden):
        super().__init__(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.register_buffer("scale", torch.tensor([CartPole.far, 2.0, CartPole.steep, 2.0]))        # metres and radians made alike

    def forward(self, states):
        return super().forward(states / self.scale)


def targets(network, follower, batch, gamma, double):
    """r + gamma Q'(s', a'), or r where the game was lost: (N,). a' is the best by `network` (double), or by `follower` itself."""
    _, _, rewards, nexts, lost = batch
    with torch.no_grad():
        judged = follower(nexts)
        chosen = (network(nexts) if double else judged).argmax(1, keepdim=True)
        return rewards + gamma * (1 - lost) * judged.gather(1, chosen).squeeze(1)


def td_loss(network, follower, batch, gamma, double):
    """Huber's loss between Q of the actions taken and their targets."""
    states, actions = batch[:2]
    taken = network(states).gather(1, actions.unsqueeze(1)).squeeze(1)
    return F.smooth_l1_loss(taken, targets(network, follower, batch, gamma, double))


def best(network, states):
    """The best action in each of the states (N, 4)."""
    with torch.no_grad():
        return network(torch.from_numpy(np.asarray(states, np.float32))).argmax(1).numpy()


def returns(network, rng, episodes, limit=500):
    """The sum of rewards of each episode that follows the best action, all played side by side."""
    games = [CartPole(rng, limit) for _ in range(episodes)]
    states, sums, playing = [g.reset() for g in games], np.zeros(episodes), list(range(episodes))
    while playing:
        actions, still = best(network, [states[i] for i in playing]), []
        for i, action in zip(playing, actions):
            states[i], reward, _, over = games[i].step(action)
            sums[i] += reward
            if not over:
                still.append(i)
        playing = still
    return sums


def follow(follower, network, share):
    """Each weight of the follower moves by `share` of the way to the network's."""
    with torch.no_grad():
        for p, q in zip(follower.parameters(), network.parameters()):
            p.lerp_(q, share)


def learn(args, say):
    """Play and learn until 20 episodes by the best action all reach the limit, or the steps are used up: the network that did best."""
    rng = np.random.default_rng(args.seed)
    network, follower = QNetwork(args.hidden), QNetwork(args.hidden)
    follower.load_state_dict(network.state_dict())
    optimizer = optim.Adam(network.parameters(), lr=args.lr)
    memory, game, recent = Memory(args.memory), CartPole(rng), deque(maxlen=20)
    state, earned, record, kept = game.reset(), 0.0, -1.0, None
    for step in range(1, args.steps + 1):
        epsilon = max(0.05, 1 - step / (0.2 * args.steps))               # how often an action is drawn: ever less
        action = int(rng.integers(2)) if rng.random() < epsilon else int(best(network, state[None])[0])
        after, reward, lost, over = game.step(action)
        memory.put(state, action, (1 - args.gamma) * reward, after, lost)     # in this unit Q stays in 0..1, however far it looks ahead
        state, earned = after, earned + reward
        if over:
            recent.append(earned)
            state, earned = game.reset(), 0.0
        if step >= args.warmup and step % args.every == 0:
            optimizer.zero_grad()
            loss = td_loss(network, follower, memory.draw(args.batch_size, rng), args.gamma, not args.plain)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            follow(follower, network, args.follow)
        if step % 1000 == 0 or step == args.steps:
            sums = returns(network, rng, 20)
            say(f"step {step:6}  exploring {epsilon:4.0%}  recent episodes {np.mean(recent or [0]):5.1f}  by the best action {sums.mean():5.1f}")
            if sums.mean() > record:
                record, kept = sums.mean(), {name: t.clone() for name, t in network.state_dict().items()}
            if sums.min() >= game.limit and epsilon <= 0.05:
                break
    network.load_state_dict(kept)
    return network, step


def watch(network, rng):
    """Print an episode, ten frames a second where somebody watches."""
    game = CartPole(rng)
    state, over = game.reset(), False
    while not over:
        state, _, _, over = game.step(int(best(network, state[None])[0]))
        if game.steps % 5 == 0 or over:
            print(game.drawn())
            time.sleep(0.1 * sys.stdout.isatty())


# ---- the command ---------------------------------------------------------------------------------------------------

def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", action="store_true", help="DQN of 2015 without double Q-learning")
    parser.add_argument("--steps", type=positive(int), default=30000, help="of the game, at most (default: 30000)")
    parser.add_argument("--episodes", type=positive(int), default=100, help="to measure the result by (default: 100)")
    parser.add_argument("--hidden", type=positive(int), default=128, help="units of a hidden layer (default: 128)")
    parser.add_argument("--batch-size", type=positive(int), default=128)
    parser.add_argument("--lr", type=positive(float), default=0.001)
    parser.add_argument("--gamma", type=share, default=0.99, help="worth of a reward one step later (default: 0.99)")
    parser.add_argument("--memory", type=positive(int), default=50000, metavar="STEPS", help="remembered (default: 50000)")
    parser.add_argument("--warmup", type=positive(int), default=1000, metavar="STEPS", help="before the first is learnt from (default: 1000)")
    parser.add_argument("--every", type=positive(int), default=2, metavar="STEPS", help="of the game to one of learning (default: 2)")
    parser.add_argument("--follow", type=positive(float), default=0.01, help="how fast Q' follows Q (default: 0.01)")
    parser.add_argument("--watch", action="store_true", help="show an episode at the end")
    parser.add_argument("--seed", type=natural, default=0)
    args = parser.parse_args(argv)
    if args.follow > 1:
        parser.error("argument --follow: must be at most 1")
    return args


def run(argv):
    args = parse(argv)
    torch.manual_seed(args.seed)
    network, steps = learn(args, lambda line: print(line, flush=True))
    rng = np.random.default_rng(args.seed + 1_000_000)                   # games that it has never seen
    if args.watch:
        watch(network, rng)
    sums = returns(network, rng, args.episodes)
    kind = "DQN" if args.plain else "double DQN"
    return f"{kind}: mean return {sums.mean():.1f} of 500 over {args.episodes} new episodes (least {sums.min():.0f}), after {steps} steps of play"


def main(argv=None):
    return command("dqn.py", run, argv)


if __name__ == "__main__":
    sys.exit(main())
