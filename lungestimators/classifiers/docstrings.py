"""Documentation of the parameters and attributes that all classifiers share."""

_SHARED = """\
    image_shape : tuple of int, default=None
        Shape of an image for X of flat rows, each of which is reshaped as by :func:`numpy.reshape`,
        ``-1`` allowed: ``(28, 28)``, ``(64, 64, 3)``, ``(1, -1, 1)``. ``None``: X is not flat.
    trainable : {"auto", "head", "last_stage", "all"}, default="auto"
        Layers that ``fit`` trains. ``"head"``: the head. ``"last_stage"``: the head, then the last
        stage of the backbone with it. ``"all"``: everything (with pre-trained weights the head
        first). ``"auto"``: ``"head"`` with pre-trained weights and ``"all"`` without.
    feature_cache : {"memory", None} or path, default="memory"
        Where outputs of frozen layers are kept, so that these layers see each image only once.
        ``"memory"``: in this process (at most 512 MiB unless :func:`limit_feature_cache` says
        otherwise). A path: in this directory, which several processes may share. ``None``: nowhere.
        It changes no result.
    epochs : int, default={epochs}
        Passes over the training images. The learning rate falls to zero along a cosine.
    batch_size : int, default=16
        Most images a step.
    optimizer : str, default="adam"
        Name of a Keras optimizer.
    learning_rate : float, default=0.001
        Learning rate of the first epoch.
    fine_tune_epochs : int, default=10
        Passes of the second stage, with pre-trained weights and ``trainable`` ``"last_stage"`` or
        ``"all"``. The backbone's batch normalisation stays in inference mode.
    fine_tune_learning_rate : float, default=0.0001
        Learning rate of the first epoch of the second stage.
    early_stopping : bool, default=False
        Whether to set aside ``validation_fraction`` of the images, stop when the loss on them has
        not fallen for ``n_iter_no_change`` epochs, and go back to the best epoch.
    validation_fraction : float, default=0.1
        Fraction of the images that early stopping sets aside: at random, stratified by class, and
        by patient where ``fit`` has ``groups``.
    n_iter_no_change : int, default=10
        Epochs without a better validation loss before early stopping ends the fit.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; a class that a dict does not name has weight 1.
        ``"balanced"``: inversely proportional to the number of images of the class.
    augment : bool or keras.layers.Layer, default=False
        ``True``: small random shifts, rotations, zooms and changes of brightness and contrast, no
        flips. A layer: called on images in 0..1. Frozen layers see eight views of each image, and
        each epoch uses one of the eight in turn; where all layers learn, each epoch makes views of
        its own.
    dense_units : int, default=512
        Units of the dense layer of the head.
    dropout : float, default=0.5
        Rate of dropout after the dense layer of the head.
    n_networks : int, default=1
        Networks that ``fit`` trains one after another and whose probabilities are averaged, each
        with seeds of its own: network ``i`` is bitwise that of a classifier with ``n_networks=1``
        and the ``random_state``
        ``numpy.random.RandomState(random_state).randint(2**31, size=n_networks)[i]``. So each has
        a validation split and augmented views of its own. Frozen layers with pre-trained weights
        are common to all networks: with a ``feature_cache`` each image goes through them once.
    n_views : int, default=1
        Views of each image over which a prediction averages the probabilities: the image itself
        and ``n_views - 1`` views with small random shifts, rotations, zooms and changes of
        brightness and contrast, as ``augment=True`` makes them. A view follows from the image and
        the number of the view alone. A value that is set after ``fit`` counts at once; ``fit`` does
        not depend on it, and ``model_`` has the image itself only.
    on_error : {"raise", "skip"}, default="raise"
        What ``fit`` does with image files that cannot be read. ``"raise"``: it checks the headers
        of all files before any training and names every bad file in one error. ``"skip"``: it
        reads every file once before any training, leaves the bad files out with one warning and
        records them in ``skipped_``. A prediction for an unreadable file is always an error.
    callbacks : list of keras.callbacks.Callback or callable, default=None
        Keras callbacks; ``fit`` trains with copies of them, and ``partial_fit`` uses none. A
        function without arguments that returns such a list is called by every ``fit``: for
        callbacks that cannot be copied, such as ``TqdmCallback``. Each of several networks has
        copies, or a list of the function, of its own. Each stage of a fit looks like one training
        to a callback: epochs count from 0, and ``stop_training`` ends the stage. The
        callback's model is the part of the network that learns; the callback may set its weights
        and its learning rate, but not change which layers learn. Hooks of a test or a prediction
        are not called. On JAX, inside an epoch, a callback must ask for ``self.model`` anew to see
        or set the weights of that moment. Callbacks of scikit-learn are set by ``set_callbacks``.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the images, dropout, augmentation and the
        validation split. The same int gives bitwise the same model.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar with loss, accuracy and time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``; height and width are ``None``
        after a fit on files.
    skipped_ : dict of {str: str}
        Path of each file that ``on_error="skip"`` left out, and why it cannot be read.
    n_features_in_ : int
        Length of a row, for flat X only.
    history_ : dict of list
        ``loss``, ``accuracy``, ``learning_rate`` and, with early stopping, ``val_loss`` and
        ``val_accuracy`` of each epoch. With ``n_networks`` above 1 the epochs of one network follow
        those of another, and ``network`` is the number of the network, from 0.
    n_iter_ : int
        Number of epochs run, of all networks together.
    training_data_ : TrainingData
        Named tuple of ``n_images``, the number of images learnt from, ``labels``, a digest of their
        labels, and ``images``, an ndarray of shape (n_different, 16), uint8: a digest of each
        different image, of its pixels and their type or of parts of its file. By it a
        classifier that was loaded from a file warns when it predicts images of its fit.
    callbacks_ : list of keras.callbacks.Callback
        The copies of ``callbacks`` that ``fit`` trained with, without their model: those of one
        network after those of another. A pickle leaves out a callback that cannot be pickled, such
        as one with an open file or a lock.
    model_ : keras.Model
        The fitted classifier as a Keras model, a copy that is built at first use. Its input is
        pixels as ``fit`` saw them or, after a fit on files, RGB images of ``image_size`` in 0..1;
        its output is probabilities, the mean over the networks."""


def with_shared_docstring(epochs):
    """Return a class decorator that fills the shared documentation into the class's docstring.

    It also lets messages about a wrong argument name the class.

    Parameters
    ----------
    epochs : int
        The default of ``epochs`` of this class.
    """

    def fill(cls):
        shared = _SHARED.replace("{epochs}", str(epochs))
        cls.__doc__ = cls.__doc__.replace("    {shared}", shared)
        # The constructor is that of the classifier's parameter class, whose name no user knows.
        cls.__init__.__qualname__ = f"{cls.__qualname__}.__init__"
        return cls

    return fill
