"""Layers: pure functions over parameter trees, from sizes to a model.

The room holds what networks are built from: the two protocols of a model, initializers, activations and
layers. It does not hold assembled networks (`funcsci.models`), training (`funcsci.train`), derivatives
(`funcsci.autodiff`), or anything that keeps its parameters to itself.
"""

from funcsci.nn import initializers as initializers
from funcsci.nn.activations import ACTIVATIONS as ACTIVATIONS
from funcsci.nn.activations import activation as activation
from funcsci.nn.attention import Attended as Attended
from funcsci.nn.attention import MultiHeadAttention as MultiHeadAttention
from funcsci.nn.attention import attention as attention
from funcsci.nn.attention import causal_mask as causal_mask
from funcsci.nn.attention import multi_head_attention as multi_head_attention
from funcsci.nn.conv import conv1d as conv1d
from funcsci.nn.conv import conv2d as conv2d
from funcsci.nn.conv import conv3d as conv3d
from funcsci.nn.conv_transpose import conv_transpose1d as conv_transpose1d
from funcsci.nn.conv_transpose import conv_transpose2d as conv_transpose2d
from funcsci.nn.conv_transpose import conv_transpose3d as conv_transpose3d
from funcsci.nn.dropout import dropout as dropout
from funcsci.nn.embedding import fourier_features as fourier_features
from funcsci.nn.embedding import periodic_embedding as periodic_embedding
from funcsci.nn.initializers import Initializer as Initializer
from funcsci.nn.layout import channels_last as channels_last
from funcsci.nn.linear import linear as linear
from funcsci.nn.linear import mlp as mlp
from funcsci.nn.losses import binary_cross_entropy as binary_cross_entropy
from funcsci.nn.losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from funcsci.nn.losses import cross_entropy as cross_entropy
from funcsci.nn.losses import huber as huber
from funcsci.nn.losses import mae as mae
from funcsci.nn.losses import mse as mse
from funcsci.nn.losses import relative_l2 as relative_l2
from funcsci.nn.model import Layer as Layer
from funcsci.nn.model import Model as Model
from funcsci.nn.model import Params as Params
from funcsci.nn.model import State as State
from funcsci.nn.model import StatefulModel as StatefulModel
from funcsci.nn.model import sequential as sequential
from funcsci.nn.model import stateful as stateful
from funcsci.nn.norm import batch_norm as batch_norm
from funcsci.nn.norm import group_norm as group_norm
from funcsci.nn.norm import layer_norm as layer_norm
from funcsci.nn.norm import rms_norm as rms_norm
from funcsci.nn.pooling import avg_pool1d as avg_pool1d
from funcsci.nn.pooling import avg_pool2d as avg_pool2d
from funcsci.nn.pooling import avg_pool3d as avg_pool3d
from funcsci.nn.pooling import flatten as flatten
from funcsci.nn.pooling import global_avg_pool as global_avg_pool
from funcsci.nn.pooling import global_max_pool as global_max_pool
from funcsci.nn.pooling import max_pool1d as max_pool1d
from funcsci.nn.pooling import max_pool2d as max_pool2d
from funcsci.nn.pooling import max_pool3d as max_pool3d
from funcsci.nn.pooling import upsample as upsample
from funcsci.nn.recurrent import Cell as Cell
from funcsci.nn.recurrent import gru_cell as gru_cell
from funcsci.nn.recurrent import lstm_cell as lstm_cell
from funcsci.nn.recurrent import rnn_cell as rnn_cell
from funcsci.nn.siren import siren as siren
from funcsci.nn.summary import Summary as Summary
from funcsci.nn.summary import summary as summary
from funcsci.nn.transformer import TransformerLayer as TransformerLayer
from funcsci.nn.transformer import sinusoidal_positions as sinusoidal_positions
from funcsci.nn.transformer import transformer_layer as transformer_layer
from funcsci.nn.unroll import Fading as Fading
from funcsci.nn.unroll import Recurrent as Recurrent
from funcsci.nn.unroll import gradient_through_time as gradient_through_time
from funcsci.nn.unroll import gru as gru
from funcsci.nn.unroll import lstm as lstm
from funcsci.nn.unroll import rnn as rnn
from funcsci.nn.unroll import unroll as unroll
from funcsci.nn.windows import ReceptiveField as ReceptiveField
from funcsci.nn.windows import Window as Window
from funcsci.nn.windows import conv_output_size as conv_output_size
from funcsci.nn.windows import receptive_field as receptive_field
