//! Actor, critic and their slowly following copies.

use super::DdpgConfig;
use super::adam::{Adam, concat};
use super::replay::Transition;
use crate::env::{STATE_LEN, State};
use crate::torch::fill_uniform;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Units of both hidden layers, in the actor and in the critic.
const HIDDEN: i64 = 300;

/// Inputs and outputs of the actor's layers: state to action.
const ACTOR: [(i64, i64); 3] = [(STATE_LEN as i64, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1)];
/// The critic's: state and action into the first hidden layer side by side, then to a value.
const CRITIC: [(i64, i64); 4] = [(STATE_LEN as i64, HIDDEN), (1, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1)];

/// The four networks and the two optimizers. A network is its list of weights and biases, layer by layer.
#[derive(Debug)]
pub struct ActorCritic {
    actor: Vec<Tensor>,
    critic: Vec<Tensor>,
    actor_target: Vec<Tensor>,
    critic_target: Vec<Tensor>,
    actor_adam: Adam,
    critic_adam: Adam,
    updates: u32,
}

/// A batch as tensors: states `[n, STATE_LEN]`, everything else `[n, 1]`.
struct Batch {
    states: Tensor,
    actions: Tensor,
    rewards: Tensor,
    next: Tensor,
    /// 0 after an episode's last decision, else 1.
    goes_on: Tensor,
}

impl ActorCritic {
    /// Fresh networks; the copies begin equal.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn new(rng: &mut ChaCha8Rng) -> Result<Self, TchError> {
        let (actor, critic) = (layers(&ACTOR, rng)?, layers(&CRITIC, rng)?);
        Ok(Self {
            actor_target: copies(&actor)?,
            critic_target: copies(&critic)?,
            actor_adam: Adam::new(&actor)?,
            critic_adam: Adam::new(&critic)?,
            actor,
            critic,
            updates: 0,
        })
    }

    /// The actor's action in one state, without noise.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn act(&self, state: &[f32]) -> Result<f64, TchError> {
        let state = Tensor::f_from_slice(state)?.f_view([1, -1])?;
        tch::no_grad(|| act(&self.actor, &state)?.f_double_value(&[0, 0]))
    }

    /// What the critic expects of these actions in these states, on average.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn value(&self, states: &[State], actions: &[f64]) -> Result<f64, TchError> {
        let states = Tensor::f_from_slice(states.as_flattened())?.f_view([-1, STATE_LEN as i64])?;
        let actions: Vec<f32> = actions.iter().map(|&action| action as f32).collect();
        let actions = Tensor::f_from_slice(&actions)?.f_view([-1, 1])?;
        tch::no_grad(|| value(&self.critic, &states, &actions)?.f_mean(Kind::Double)?.f_double_value(&[]))
    }

    /// One step of critic and actor on a batch, then the copies follow. `baseline` is subtracted from rewards.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn update(&mut self, batch: &[Transition], baseline: f64, config: &DdpgConfig) -> Result<(), TchError> {
        let batch = Batch::new(batch)?;
        self.updates += 1;
        self.update_critic(&batch, baseline, config)?;
        self.update_actor(&batch, config)?;
        follow(&mut self.critic_target, &self.critic, config.tau)?;
        follow(&mut self.actor_target, &self.actor, config.tau)
    }

    /// Towards `reward - baseline + discount * Q'(next, actor'(next))`, mean squared error.
    fn update_critic(&mut self, batch: &Batch, baseline: f64, config: &DdpgConfig) -> Result<(), TchError> {
        let target = tch::no_grad(|| {
            let next = value(&self.critic_target, &batch.next, &act(&self.actor_target, &batch.next)?)?;
            let later = next.f_mul(&batch.goes_on)?.f_mul_scalar(config.discount)?;
            batch.rewards.f_sub_scalar(baseline)?.f_add(&later)
        })?;
        let loss = value(&self.critic, &batch.states, &batch.actions)?.f_mse_loss(&target, Reduction::Mean)?;
        let gradients = Tensor::f_run_backward(&[loss], &self.critic, false, false)?;
        self.critic_adam.step(&mut self.critic, &gradients, config.critic_rate, self.updates)
    }

    /// Uphill in the critic's value of the actor's actions.
    fn update_actor(&mut self, batch: &Batch, config: &DdpgConfig) -> Result<(), TchError> {
        let actions = act(&self.actor, &batch.states)?;
        let loss = value(&self.critic, &batch.states, &actions)?.f_mean(Kind::Float)?.f_neg()?;
        let gradients = Tensor::f_run_backward(&[loss], &self.actor, false, false)?;
        self.actor_adam.step(&mut self.actor, &gradients, config.actor_rate, self.updates)
    }

    /// The actor alone learns to act as in `examples`, mean squared error; its copy follows at once. The optimizer's moments
    /// are not kept: the search that follows has other gradients.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn imitate(&mut self, examples: &[Transition], steps: usize, config: &DdpgConfig) -> Result<(), TchError> {
        let examples = Batch::new(examples)?;
        let mut adam = Adam::new(&self.actor)?;
        for step in 1..=steps as u32 {
            let loss = act(&self.actor, &examples.states)?.f_mse_loss(&examples.actions, Reduction::Mean)?;
            let gradients = Tensor::f_run_backward(&[loss], &self.actor, false, false)?;
            adam.step(&mut self.actor, &gradients, 10.0 * config.actor_rate, step)?;
        }
        follow(&mut self.actor_target, &self.actor, 1.0)
    }

    /// Updates done.
    pub fn updates(&self) -> u32 {
        self.updates
    }

    /// All parameters and moments, in a fixed order.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn floats(&self) -> Result<Vec<f32>, TchError> {
        let networks = [&self.actor, &self.critic, &self.actor_target, &self.critic_target];
        let moments = self.actor_adam.tensors().chain(self.critic_adam.tensors());
        concat(networks.into_iter().flatten().chain(moments))
    }

    /// The inverse of [`ActorCritic::floats`]; false when the count is not that of these networks.
    ///
    /// # Errors
    /// libtorch's own.
    pub fn load(&mut self, mut floats: &[f32], updates: u32) -> Result<bool, TchError> {
        let networks = [&mut self.actor, &mut self.critic, &mut self.actor_target, &mut self.critic_target];
        let moments = self.actor_adam.tensors_mut().chain(self.critic_adam.tensors_mut());
        for tensor in networks.into_iter().flatten().chain(moments) {
            let Some((values, rest)) = floats.split_at_checked(tensor.numel()) else { return Ok(false) };
            let values = Tensor::f_from_slice(values)?.f_view(tensor.size().as_slice())?;
            tch::no_grad(|| tensor.f_copy_(&values))?;
            floats = rest;
        }
        self.updates = updates;
        Ok(floats.is_empty())
    }
}

impl Batch {
    fn new(batch: &[Transition]) -> Result<Self, TchError> {
        let column = |of: &dyn Fn(&Transition) -> f32| {
            Tensor::f_from_slice(&batch.iter().map(of).collect::<Vec<f32>>())?.f_view([-1, 1])
        };
        let rows = |of: &dyn Fn(&Transition) -> [f32; STATE_LEN]| {
            Tensor::f_from_slice(&batch.iter().flat_map(of).collect::<Vec<f32>>())?.f_view([-1, STATE_LEN as i64])
        };
        Ok(Self {
            states: rows(&|t| t.state)?,
            actions: column(&|t| t.action)?,
            rewards: column(&|t| t.reward)?,
            next: rows(&|t| t.next)?,
            goes_on: column(&|t| f32::from(u8::from(!t.terminal)))?,
        })
    }
}

/// Weights and biases uniform in `1 / sqrt(inputs)`, PyTorch's default for a linear layer, which HAQ keeps.
fn layers(sizes: &[(i64, i64)], rng: &mut ChaCha8Rng) -> Result<Vec<Tensor>, TchError> {
    let mut tensors = Vec::new();
    for &(inputs, outputs) in sizes {
        for size in [vec![outputs, inputs], vec![outputs]] {
            let mut tensor = Tensor::f_zeros(size.as_slice(), (Kind::Float, Device::Cpu))?;
            fill_uniform(&mut tensor, 1.0 / (inputs as f64).sqrt(), rng)?;
            tensors.push(tensor.f_set_requires_grad(true)?);
        }
    }
    Ok(tensors)
}

fn copies(network: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
    network.iter().map(|tensor| Ok(tensor.f_detach()?.copy())).collect()
}

fn linear(network: &[Tensor], layer: usize, x: &Tensor) -> Result<Tensor, TchError> {
    x.f_linear(&network[2 * layer], Some(&network[2 * layer + 1]))
}

fn act(actor: &[Tensor], states: &Tensor) -> Result<Tensor, TchError> {
    let x = linear(actor, 0, states)?.f_relu()?;
    let x = linear(actor, 1, &x)?.f_relu()?;
    linear(actor, 2, &x)?.f_sigmoid()
}

fn value(critic: &[Tensor], states: &Tensor, actions: &Tensor) -> Result<Tensor, TchError> {
    let x = linear(critic, 0, states)?.f_add(&linear(critic, 1, actions)?)?.f_relu()?;
    let x = linear(critic, 2, &x)?.f_relu()?;
    linear(critic, 3, &x)
}

fn follow(target: &mut [Tensor], source: &[Tensor], tau: f64) -> Result<(), TchError> {
    tch::no_grad(|| {
        for (target, source) in target.iter_mut().zip(source) {
            let moved = target.f_mul_scalar(1.0 - tau)?.f_add(&source.f_mul_scalar(tau)?)?;
            target.f_copy_(&moved)?;
        }
        Ok(())
    })
}
