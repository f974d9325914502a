"""The examples on images and games: what they read and refuse, the formulas they stand on, and that their losses fall."""
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch as torch
from minitorch import distributions, optim
from minitorch.nn import functional as F

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

import cifar10  # noqa: E402
import dqn  # noqa: E402
import gan  # noqa: E402
import penalties  # noqa: E402
import pictures  # noqa: E402
import resnet  # noqa: E402
import vae  # noqa: E402


def refused(capsys, module, *options):
    """The line that an example says to these options."""
    try:
        status = module.main([*map(str, options)])
    except SystemExit as ended:                      # argparse's
        status = ended.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert status != 0 and lines[-1].startswith(module.__name__ + ".py: "), lines
    return lines[-1]


# ---- CIFAR-10's files ----------------------------------------------------------------------------------------------

def write_cifar10(folder, batches=2, n=20, names=True):
    """Small files in CIFAR-10's form: noise, brighter in the row of the class."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [f"data_batch_{i + 1}.bin" for i in range(batches)] + ["test_batch.bin"]:
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 100, (n, 3, 32, 32)).astype(np.uint8)
        images[np.arange(n), :, 3 * labels] += 150
        (folder / name).write_bytes(np.concatenate([labels[:, None], images.reshape(n, -1)], 1).tobytes())
    if names:
        (folder / "batches.meta.txt").write_text("\n".join("airplane automobile bird cat deer dog frog horse ship truck".split()) + "\n\n")
    return folder


@pytest.mark.parametrize("place", ["", "cifar-10-batches-bin"])
def test_cifar10s_files_are_read(tmp_path, place):
    write_cifar10(tmp_path / place)
    images, labels, test_images, test_labels = cifar10.read_cifar10(tmp_path)
    assert images.shape == (40, 3, 32, 32) and test_images.shape == (20, 3, 32, 32) and labels.shape == (40,) and images.dtype == np.uint8
    assert (images[np.arange(40), :, 3 * labels].min((1, 2)) >= 150).all()


def test_a_record_is_its_class_then_red_green_and_blue_row_by_row(tmp_path):
    record = np.zeros(3073, np.uint8)
    record[0], record[1 + 1024 + 32 * 2 + 5] = 7, 200                    # green, row 2, column 5
    (tmp_path / "batch").write_bytes(record.tobytes())
    images, labels = cifar10.read_batch(tmp_path / "batch")
    assert labels.tolist() == [7] and np.argwhere(images).tolist() == [[0, 1, 2, 5]]


def test_classes_have_their_names_or_their_numbers(tmp_path):
    assert cifar10.read_names(write_cifar10(tmp_path / "a"))[3] == "cat"
    assert cifar10.read_names(write_cifar10(tmp_path / "b", names=False))[3] == "3"
    (tmp_path / "a" / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(ValueError, match="2 names instead of 10"):
        cifar10.read_names(tmp_path / "a")


BROKEN = {
    "empty": (lambda b: b"", "empty"),
    "cut short": (lambda b: b[:-1], "61459 bytes are not a whole number of records of 3073"),
    "of another kind": (lambda b: b"\x80\x04" * 500, "1000 bytes are not a whole number of records"),
    "with labels of CIFAR-100": (lambda b: b[:3073] + b"\x63" + b[3074:], "record 1 is of class 99"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_name(tmp_path, name):
    damage, reason = BROKEN[name]
    path = write_cifar10(tmp_path) / "data_batch_2.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{path}: {reason}")):
        cifar10.read_cifar10(tmp_path)


def test_missing_files_are_named(tmp_path, capsys):
    assert "no folder" in refused(capsys, resnet, "--data", tmp_path / "nowhere")
    assert "no data_batch_1.bin" in refused(capsys, resnet, "--data", tmp_path)
    (tmp_path / "data_batch_1").write_bytes(b"")
    assert "the version for Python is another format" in refused(capsys, resnet, "--data", tmp_path)
    (write_cifar10(tmp_path) / "test_batch.bin").unlink()
    assert "no test_batch.bin" in refused(capsys, resnet, "--data", tmp_path)


# ---- ResNet --------------------------------------------------------------------------------------------------------

def test_a_small_resnet_learns_cifar10s_form_and_is_saved_and_loaded(tmp_path, capsys):
    pytest.importorskip("safetensors")
    folder = write_cifar10(tmp_path / "data")
    assert resnet.main(["--data", str(folder), "--blocks", "1", "--epochs", "6", "--batch-size", "10", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", out)]
    assert len(losses) == 6 and losses[-1] < losses[0] and re.search("by class: [a-z]+ [0-9]+%", out)
    state = torch.load(tmp_path / "weights.safetensors")
    again = resnet.SmallResNet(3, 10, 1)
    again.load_state_dict(state)
    share = resnet.accuracy(again, resnet.cifar10(folder).test)
    assert f"test accuracy {share:.2%} after 6 epochs" in out


def test_images_are_moved_within_bounds_and_mirrored():
    torch.manual_seed(0)
    images = torch.arange(2000.0).reshape(-1, 1, 5, 2) + 1
    data = resnet.Images("", None, None, 1, True, -1.0)
    moved = resnet.varied(images, data).numpy()
    seen = set()
    for image, y in zip(images.numpy()[:, 0], moved[:, 0]):
        padded = np.pad(image, 1, constant_values=-1)
        matches = [(r, c, m) for r in range(3) for c in range(3) for m in (False, True)
                   if (padded[r:r + 5, c:c + 2][:, ::-1 if m else 1] == y).all()]
        assert matches
        seen.update(matches)
    assert len(seen) == 18


@pytest.fixture
def photograph(tmp_path):
    """A picture file of 300 x 260 pixels, red on the left and blue on the right."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((260, 300, 3), np.uint8)
    pixels[:, :150, 0] = pixels[:, 150:, 2] = 255
    image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


def test_a_picture_is_scaled_and_its_middle_cut_out(photograph):
    x = resnet.prepared(resnet.picture(photograph))
    assert x.shape == (1, 3, 224, 224)
    back = (x * resnet.DEVIATION + resnet.MEAN)[0].numpy()
    np.testing.assert_allclose(back[:, :, :100], np.broadcast_to([[[1.]], [[0.]], [[0.]]], (3, 224, 100)), atol=1e-6)
    np.testing.assert_allclose(back[:, :, -100:], np.broadcast_to([[[0.]], [[0.]], [[1.]]], (3, 224, 100)), atol=1e-6)


def test_a_resnet_predicts_by_loaded_weights_and_names(tmp_path, photograph, capsys):
    pytest.importorskip("safetensors")
    torch.manual_seed(3)
    model = resnet.resnet.resnet18(num_classes=6).eval()
    torch.save(model.state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "names").write_text("ant\nbee\ncat\ndog\nelk\nfox\n")
    with torch.no_grad():
        best = model(resnet.prepared(resnet.picture(photograph))).argmax().item()
    options = ["--photo", "--image", photograph, "--weights", tmp_path / "weights.safetensors", "--labels", tmp_path / "names"]
    assert resnet.main([*map(str, options)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ant bee cat dog elk fox".split()[best] + " by resnet18")
    (tmp_path / "names").write_text("ant\nbee\n")
    assert "2 lines" in refused(capsys, resnet, *options)
    assert "does not fit resnet34" in refused(capsys, resnet, *options[:5], "--arch", "resnet34")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.safetensors")
    assert "no state dict of a ResNet" in refused(capsys, resnet, *options[:5])
    (tmp_path / "weights.safetensors").write_bytes(b"nothing of the kind")
    assert "--weights: " in refused(capsys, resnet, *options[:5])
    assert "cannot read" in refused(capsys, resnet, "--photo", "--image", tmp_path / "names")


# ---- variational autoencoder ---------------------------------------------------------------------------------------

def test_the_kl_divergence_is_that_of_the_distributions_and_of_draws():
    rng = np.random.default_rng(0)
    mean, log_var = (torch.from_numpy(rng.normal(size=(3, 2))) for _ in range(2))
    q, p = distributions.Normal(mean, (log_var / 2).exp()), distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(vae.kl(mean, log_var), distributions.kl_divergence(q, p).sum(1))
    torch.manual_seed(0)
    z = vae.reparametrised(mean.expand(200_000, 3, 2), log_var.expand(200_000, 3, 2))
    gaps = (q.log_prob(z) - p.log_prob(z)).sum(2)
    error = gaps.std(0) / math.sqrt(len(gaps))
    assert ((gaps.mean(0) - vae.kl(mean, log_var)).abs() < 4 * error).all()


def test_gradients_reach_the_mean_and_the_variance_through_a_draw():
    mean, log_var = torch.zeros(1000, 1, requires_grad=True), torch.full((1000, 1), math.log(4.0), requires_grad=True)
    torch.manual_seed(0)
    z = vae.reparametrised(mean, log_var)
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(1000, 1))
    torch.testing.assert_close(log_var.grad, z.detach() / 2)             # z = e^(log_var / 2) * noise


def test_the_likelihood_sums_to_one_over_all_images_of_a_pixel():
    x = torch.arange(17.0, dtype=torch.float64).reshape(17, 1, 1, 1) / 16
    for logit in (-3.0, 0.0, 1.5):
        p = vae.log_likelihood(torch.full((17, 1), logit, dtype=torch.float64), x).exp()
        assert abs(p.sum().item() - 1) < 1e-6        # the logarithms of the binomial coefficients are float32
        assert abs((p * x.flatten()).sum().item() - 1 / (1 + math.exp(-logit))) < 1e-6


def test_the_bound_is_below_the_likelihood_itself():
    """In one latent dimension the integral over z can be taken on a grid."""
    torch.manual_seed(0)
    model = vae.VAE(6, 5, 1).double()
    x = torch.randint(0, 17, (4, 1, 2, 3)).double() / 16
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64).unsqueeze(1)
    with torch.no_grad():
        joint = vae.log_likelihood(model.decoder(z).unsqueeze(0).expand(4, -1, -1).flatten(0, 1), x.repeat_interleave(2001, 0)).reshape(4, -1)
        exact = torch.logsumexp(joint + distributions.Normal(0.0, 1.0).log_prob(z[:, 0]) + math.log(16 / 2000), 1)
        bounds = torch.stack([vae.elbo(model, x) for _ in range(1000)])
    assert (bounds.mean(0) < exact).all() and (bounds.mean(0) > exact - 3).all()


def test_the_bound_rises_and_a_picture_is_drawn(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert vae.main(["--epochs", "3", "--hidden", "32", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    bounds = [float(x) for x in re.findall(r"test bound (-[\d.]+)", out)]
    assert len(bounds) == 3 and bounds[0] < bounds[-1] and re.search(r"log p of a test image at least -\d+\.\d nats, .*, \d+ s$", out)
    assert (tmp_path / "vae.png").exists() or "matplotlib is not installed" in out


def test_the_plane_is_equally_likely_everywhere():
    z = vae.plane(4)
    assert z.shape == (16, 2) and (z.reshape(4, 4, 2)[0, :, 1] == z[:, 1].max()).all() and (z[:4, 0].diff() > 0).all()
    np.testing.assert_allclose(0.5 * (1 + torch.erf(z[:4, 0] / 2 ** 0.5)).numpy(), [0.125, 0.375, 0.625, 0.875], atol=1e-6)


def test_a_sheet_shows_images_row_by_row():
    images = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    assert pictures.sheet(images, 2).tolist() == [[0, 0, 0.5, 1, 1], [0, 0, 0.5, 1, 1], [0.5] * 5, [2, 2, 0.5, 0.5, 0.5], [2, 2, 0.5, 0.5, 0.5]]


# ---- generative adversarial network --------------------------------------------------------------------------------

def test_the_slope_is_the_squared_gradient_and_can_be_trained():
    torch.manual_seed(0)
    judge, real = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1)).double(), torch.randn(5, 1, 2, 2).double()
    cost = gan.slope(judge, real)
    weight = judge[1].weight
    torch.testing.assert_close(cost, 0.5 * weight.square().sum())        # the gradient of a linear score is its weight
    cost.backward()
    torch.testing.assert_close(weight.grad, weight.detach())


def test_a_generator_that_invents_what_is_real_cannot_be_told_apart():
    scores = torch.zeros(8, 1)
    assert abs(gan.judged(scores, scores).item() - 2 * math.log(2)) < 1e-6


def test_a_discriminator_learns_to_tell_noise_from_digits():
    torch.manual_seed(0)
    judge, real, fake = gan.discriminator(16), torch.zeros(32, 1, 8, 8), torch.rand(32, 1, 8, 8)
    optimizer = optim.Adam(judge.parameters(), 0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = gan.judged(judge(real), judge(fake)) + 0.1 * gan.slope(judge, real)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_a_short_game_of_both_ends_in_figures_and_a_picture(tmp_path, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    learn = gan.trained_classifier
    monkeypatch.setattr(gan, "trained_classifier", lambda images, labels: learn(images, labels, epochs=1))
    assert gan.main(["--epochs", "2", "--hidden", "32", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\d+\.\d% of 2000 inventions read with over 90 % confidence, \d+ digits among them", out)
    assert (tmp_path / "gan.png").exists() or "matplotlib is not installed" in out


# ---- deep Q-learning -----------------------------------------------------------------------------------------------

def test_a_push_from_rest_accelerates_as_by_hand():
    """Upright and at rest only the force acts: bending = -F / (m l (4/3 - m_pole / m)), by the masses 1.1 and 0.1 kg and half length 0.5 m."""
    game = dqn.CartPole(np.random.default_rng(0))
    game.reset()
    game.state = np.zeros(4)
    acceleration, bending = game.accelerations(1)
    assert bending == pytest.approx(-(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1)), rel=1e-12) == pytest.approx(-600 / 41, rel=1e-12)
    assert acceleration == pytest.approx(10 / 1.1 + 0.05 * (600 / 41) / 1.1, rel=1e-12) == pytest.approx(400 / 41, rel=1e-12)
    state, reward, lost, over = game.step(1)
    np.testing.assert_allclose(state, [0, 0.02 * 400 / 41, 0, -0.02 * 600 / 41], rtol=1e-12)
    assert reward == 1 and not lost and not over
    state, *_ = game.step(0)                         # what the speeds of before do in 0.02 s
    np.testing.assert_allclose(state[[0, 2]], [0.0004 * 400 / 41, -0.0004 * 600 / 41], rtol=1e-12)


def test_pole_and_cart_obey_newtons_equations():
    """(M + m) x'' + m l (a'' cos a - a'^2 sin a) = F and 4/3 l a'' + x'' cos a = g sin a, at any state."""
    rng = np.random.default_rng(1)
    game = dqn.CartPole(rng)
    for _ in range(50):
        game.state = rng.normal(size=4)
        _, _, a, turning = game.state
        action = int(rng.integers(2))
        x2, a2 = game.accelerations(action)
        assert 1.1 * x2 + 0.05 * (a2 * math.cos(a) - turning ** 2 * math.sin(a)) == pytest.approx(10 if action else -10, abs=1e-9)
        assert 4 / 3 * 0.5 * a2 + x2 * math.cos(a) == pytest.approx(9.8 * math.sin(a), abs=1e-9)


def test_left_is_the_mirror_image_of_right():
    game = dqn.CartPole(np.random.default_rng(0))
    state = np.array([0.3, -0.2, 0.1, 0.5])
    game.reset()
    game.state = state
    right, *_ = game.step(1)
    game.state = -state
    left, *_ = game.step(0)
    np.testing.assert_array_equal(left, -right)


@pytest.mark.parametrize("state, lost", [([2.39, 0, 0, 0], False), ([2.41, 0, 0, 0], True), ([-2.41, 0, 0, 0], True),
                                         ([0, 0, math.radians(11.9), 0], False), ([0, 0, math.radians(-12.1), 0], True)])
def test_a_game_is_lost_off_the_track_or_with_a_fallen_pole(state, lost):
    game = dqn.CartPole(np.random.default_rng(0))
    game.reset()
    game.state = np.array(state, float)
    assert game.step(0)[2:] == (lost, lost)


def test_a_game_at_its_limit_is_over_but_not_lost():
    game = dqn.CartPole(np.random.default_rng(0), limit=3)
    game.reset()
    assert [game.step(i % 2)[2:] for i in range(3)] == [(False, False), (False, False), (False, True)]


def test_the_memory_forgets_the_oldest_and_draws_what_it_holds():
    memory = dqn.Memory(5)
    for i in range(3):
        memory.put([i] * 4, i % 2, i, [i + 0.5] * 4, i == 2)
    assert len(memory) == 3
    rng = np.random.default_rng(0)
    states, actions, rewards, nexts, lost = memory.draw(200, rng)
    assert set(rewards.tolist()) == {0, 1, 2}        # no place that nothing was put in
    for i in range(3, 12):
        memory.put([i] * 4, i % 2, i, [i + 0.5] * 4, i == 11)
    assert len(memory) == 5
    states, actions, rewards, nexts, lost = memory.draw(200, rng)
    assert set(rewards.tolist()) == {7, 8, 9, 10, 11}
    assert (states[:, 0] == rewards).all() and (actions == rewards.long() % 2).all()             # rows stay together
    assert (nexts[:, 3] == rewards + 0.5).all() and ((lost == 1) == (rewards == 11)).all()
    assert actions.dtype == torch.int64 and states.dtype == torch.float32


def table(rows):
    """A network whose Q of both actions for the state [i, 0, 0, 0] is rows[i]."""
    q = torch.tensor(rows)
    return lambda states: q[states[:, 0].long()]


def test_targets_by_hand():
    network, follower = table([[0.0, 1.0], [5.0, 4.0]]), table([[10.0, 20.0], [30.0, 40.0]])
    nexts = torch.zeros(3, 4)
    nexts[1:, 0] = 1
    batch = (None, None, torch.tensor([1.0, 1.0, 1.0]), nexts, torch.tensor([0.0, 0.0, 1.0]))
    assert dqn.targets(network, follower, batch, 0.5, double=True).tolist() == [1 + 0.5 * 20, 1 + 0.5 * 30, 1]
    assert dqn.targets(network, follower, batch, 0.5, double=False).tolist() == [1 + 0.5 * 20, 1 + 0.5 * 40, 1]


def test_only_the_network_learns_and_its_loss_falls():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network, follower, memory, game = dqn.QNetwork(16), dqn.QNetwork(16), dqn.Memory(300), dqn.CartPole(rng)
    state = game.reset()
    for _ in range(300):
        after, reward, lost, over = game.step(action := int(rng.integers(2)))
        memory.put(state, action, reward, after, lost)
        state = game.reset() if over else after
    before = [p.clone() for p in follower.parameters()]
    optimizer = optim.Adam(network.parameters(), 0.01)
    batch, losses = memory.draw(128, rng), []
    for _ in range(40):
        optimizer.zero_grad()
        loss = dqn.td_loss(network, follower, batch, 0.9, True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3 and all(p.grad is None for p in follower.parameters())
    assert all(torch.equal(p, q) for p, q in zip(before, follower.parameters()))
    dqn.follow(follower, network, 0.25)
    for p, old, new in zip(follower.parameters(), before, network.parameters()):
        torch.testing.assert_close(p, 0.75 * old + 0.25 * new)


def test_a_few_steps_of_play_end_in_a_figure(capsys):
    options = "--steps 600 --warmup 100 --batch-size 16 --hidden 16 --episodes 5 --watch --plain".split()
    assert dqn.main(options) == 0
    out = capsys.readouterr().out
    assert re.search(r"DQN: mean return \d+\.\d of 500 over 5 new episodes .* after 600 steps of play, \d+ s$", out) and "degrees" in out


# ---- penalties -----------------------------------------------------------------------------------------------------

def test_penalties_are_those_of_their_formulas_and_biases_are_free():
    model = penalties.network(3, 0.5)
    matrices = [p.detach().numpy() for p in model.parameters() if p.ndim == 2]
    assert len(matrices) == 3 and penalties.penalty(model, penalties.Way()) == 0
    cost = penalties.penalty(model, penalties.Way(l1=0.5, l2=0.25)).item()
    assert cost == pytest.approx(sum(0.5 * np.abs(w).sum() + 0.125 * (w ** 2).sum() for w in matrices), rel=1e-5)


def test_few_examples_are_so_many_of_every_digit():
    labels = torch.arange(1000) % 10
    rows = penalties.few(labels, 7)
    assert len(set(rows.tolist())) == 70 and torch.bincount(labels[rows]).tolist() == [7] * 10


def test_l1_empties_weights_and_both_shrink_them(capsys):
    pytest.importorskip("sklearn")
    args = penalties.parse("--runs 1 --hidden 32 --steps 300 --each 5 --lr 0.005".split())
    results = penalties.compared(["nothing", "l1", "l2"], args)
    assert all(r.train == 1 and r.test > 0.6 for r in results.values())
    assert results["l1"].small > 0.3 > 0.1 > results["nothing"].small
    assert max(results["l1"].size, results["l2"].size) < results["nothing"].size


def test_more_digits_than_there_are_is_said(capsys):
    pytest.importorskip("sklearn")
    assert "--each: there are only" in refused(capsys, penalties, "--each", 500, "--runs", 1)


# ---- options -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("module, option", [(resnet, "--epochs 0"), (resnet, "--arch resnet19"), (resnet, "--image x.png"), (vae, "--latent 0"),
                                            (vae, "--seed -1"), (gan, "--lr nan"), (dqn, "--gamma 1.5"), (dqn, "--follow 2"), (dqn, "--steps x"),
                                            (penalties, "--only l3"), (penalties, "--runs 0")])
def test_bad_options_are_refused(module, option, capsys):
    with pytest.raises(SystemExit) as ended:
        module.main(option.split())
    assert ended.value.code == 2 and option.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize("module", [resnet, vae, gan, dqn, penalties])
def test_help_shows_the_docstring_and_every_option_explains_itself(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    out = capsys.readouterr().out
    assert module.__doc__.splitlines()[0] in out and "--seed" in out


def test_the_same_seed_gives_the_same_figures(capsys):
    options = "--steps 300 --warmup 100 --batch-size 8 --hidden 8 --episodes 3 --seed 5".split()
    said = []
    for _ in range(2):
        dqn.main(options)
        said.append(capsys.readouterr().out.rpartition(",")[0])
    assert said[0] == said[1]


def test_the_loss_of_a_small_resnet_falls_on_one_batch():
    torch.manual_seed(0)
    model, x, labels = resnet.SmallResNet(1, 10, 1), torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
